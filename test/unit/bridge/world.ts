/** A ledger with one recorded batch, and the members' secrets, for the tests of custody. */
import { answerQuery } from '../../../actors/stream/index.ts'
import type { ProvenRow } from '../../../bridge/index.ts'
import { parseTransaction } from '../../../core/bitcoin/index.ts'
import { emptyCertificate, genesisHeader } from '../../../core/block/index.ts'
import {
  type Ledger,
  ledgerRoot,
  outpointKey,
  rowOf,
  type SpendRow,
} from '../../../core/ledger/index.ts'
import {
  assemble,
  changeOutput,
  depositPayloadScript,
  openBatches,
  type SpendTweak,
} from '../../../core/peg/index.ts'
import { claimOf, PegWorld, p2wpkh, payment, seeded, testGenesis } from '../core/peg/world.ts'

const EMPTY_QUEUE = { headers: [], pegIns: [], bookings: [] }

export const schnorrSecrets = [0, 1, 2, 3].map((index) => seeded(`schnorr ${index}`))

export interface BatchWorld {
  readonly world: PegWorld
  readonly batchId: Uint8Array
  readonly spend: SpendRow
  readonly tweaks: readonly SpendTweak[]
}

/** Bitcoin goes on without the batch, and a block records a further version of it. */
export function bumped({ batchId, world }: BatchWorld, feeRateSatPerKvb: number): SpendRow {
  world.bitcoin.mine([], 3)
  world.syncHeaders()
  const queue = { ...EMPTY_QUEUE, unconfirmed: [batchId] }
  world.block({
    items: assemble(world.ledger, world.context({ feeRateSatPerKvb }), queue).items,
  })
  const version = openBatches(world.ledger)[0]?.versions.at(-1)
  if (version === undefined) throw new Error('no batch')
  return version.row
}

/** Deposits, burns, and the block that records their payout. */
export function worldWithBatch(): BatchWorld {
  const world = new PegWorld()
  world.pegIn('alice', 3_000_000n)
  world.pegIn('carol', 2_000_000n)
  world.block({
    burns: [
      world.burn('bob', 2_500_000n, undefined, 0),
      world.burn('dave', 1_500_000n, undefined, 1),
    ],
  })
  world.timestamp += 10
  world.block({ items: assemble(world.ledger, world.context(), EMPTY_QUEUE).items })
  const [batch] = openBatches(world.ledger)
  const version = batch?.versions[0]
  if (batch === undefined || version === undefined) throw new Error('no batch was recorded')
  const parsed = parseTransaction(version.row.transaction)
  if (!parsed.ok) throw new Error(parsed.error.reason)
  const tweaks = batch.row.inputs.map((key) => {
    const row = rowOf(world.ledger, 'outputs', key)
    if (row === undefined) throw new Error('an input without a row')
    const { epoch, evmAddress, refundScript, tweaked } = row
    return tweaked ? { epoch, deposit: { evmAddress, refundScript } } : { epoch }
  })
  return { world, batchId: batch.batchId, spend: version.row, tweaks }
}

/** The rows of a batch version as a federation node proves them. */
export async function provenRows(
  ledger: Ledger,
  batchId: Uint8Array,
  version = 0,
): Promise<readonly ProvenRow[]> {
  const header = genesisHeader(testGenesis(), ledgerRoot(ledger))
  const chain = {
    head: () => ({ header, certificate: emptyCertificate(), ledger }),
    headers: async () => [],
    subscribe: () => () => {},
  }
  const query = { kind: 'ledgerProofRequest', rows: [], batchId, version } as const
  const body = await answerQuery(chain, query, 4)
  if (body.kind !== 'ledgerProof') throw new Error(body.kind)
  return body.rows
}

/** A deposit to a precompile, which is owed back; gives its outpoint. */
export function owedIn(world: PegWorld, refundScript: Uint8Array): Uint8Array {
  const evmAddress = Uint8Array.from({ length: 20 }, (_, at) => (at === 19 ? 1 : 0))
  const deposit = payment('careless', [
    { amountSat: 200_000n, scriptPubKey: changeOutput(world.genesis, 0).scriptPubKey },
    { amountSat: 0n, scriptPubKey: depositPayloadScript(evmAddress, refundScript) },
  ])
  world.bitcoin.mine([deposit])
  world.bitcoin.mine([], 2)
  world.syncHeaders()
  const fields = { kind: 'refundable', reason: 'forbiddenAddress', evmAddress } as const
  const claim = claimOf(world.bitcoin, deposit, { ...fields, refundScript })
  world.block({ items: { proofs: [claim.proof], pegIns: [world.item(claim)] } })
  return outpointKey(claim.txid, claim.vout)
}

/** The block that records what is due, one batch; gives that. */
export function recordedIn(world: PegWorld): Uint8Array {
  world.block({ items: assemble(world.ledger, world.context(), EMPTY_QUEUE).items })
  const [batch] = openBatches(world.ledger)
  if (batch === undefined) throw new Error('nothing was recorded')
  return batch.batchId
}

/** A deposit with a refund script, and the block that records its refund; gives the batch. */
export function refundIn(world: PegWorld): Uint8Array {
  owedIn(world, p2wpkh('back'))
  return recordedIn(world)
}

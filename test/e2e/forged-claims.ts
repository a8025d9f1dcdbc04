/** Deposits that are not so: each differs in one thing from a deposit that the members approved. */

import { parseTransaction } from '../../core/bitcoin/index.ts'
import { type PegInClaim, PegInClaimType, type TransactionProof } from '../../core/block/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import {
  buildProof,
  claimOfDeposit,
  federationScripts,
  NO_KEYS,
  parseDeposits,
} from '../../core/peg/index.ts'
import {
  bitcoinMerkleTree,
  fromDisplayHash,
  hexBytes,
  sha256d,
  toDisplayHash,
} from '../../crypto/index.ts'
import type { BitcoinRpc } from '../../node/adapters/bitcoin-rpc/index.ts'
import type { NodeBody } from '../../proto/index.ts'

/** Whose address the thief would like to see credited. */
export const THIEF = hexBytes('7410000000000000000000000000000000007410')

export interface ForgedRequest {
  /** What is wrong with it. */
  readonly what: string
  readonly body: NodeBody
}

/** Bitcoin material for claims: a deposit that is good, one that is too young, one without address, and payments of others. */
export interface ClaimSources {
  readonly genesis: Genesis
  readonly good: PegInClaim
  readonly young: PegInClaim
  /** Recorded as refundable: it has no OP_RETURN. */
  readonly refundable: PegInClaim
  /** A payment between strangers, buried deep enough. */
  readonly strangers: TransactionProof
  /** A payout of the federation, whose change is under the federation's script. */
  readonly payout: TransactionProof
}

/** The proof of a transaction in the best chain, as a node would build it. Txid in display form. */
export async function proofOf(bitcoin: BitcoinRpc, txid: string): Promise<TransactionProof> {
  let hash = must(await bitcoin.getBestBlockHash())
  for (;;) {
    const block = must(await bitcoin.getBlock(hash))
    const index = block.txids.indexOf(txid)
    if (index >= 0) {
      const transaction = must(await bitcoin.getRawTransaction(txid, hash)).raw
      const coinbase = must(await bitcoin.getRawTransaction(block.txids[0] as string, hash)).raw
      const proof = buildProof({
        blockHash: fromDisplayHash(hash),
        tree: bitcoinMerkleTree(block.txids.map(fromDisplayHash)),
        index,
        transaction,
        coinbase,
      })
      if (!proof.ok) throw new Error(proof.error.code)
      return proof.value
    }
    hash = must(await bitcoin.getBlockHeader(hash)).previousBlockHash as string
  }
}

/** The claim that an honest node would make of the first deposit in a transaction. */
export function honestClaim(genesis: Genesis, proof: TransactionProof): PegInClaim {
  const transaction = parseTransaction(proof.transaction)
  if (!transaction.ok) throw new Error(transaction.error.reason)
  const scripts = federationScripts(genesis, 0, NO_KEYS)
  const [deposit] = parseDeposits(transaction.value, scripts, genesis.params)
  if (deposit === undefined) throw new Error('the transaction holds no deposit')
  return claimOfDeposit(deposit, proof)
}

export function askApproval(
  genesis: Genesis,
  claim: PegInClaim,
  changes: Partial<Extract<NodeBody, { kind: 'requestFederationApproval' }>> = {},
): NodeBody {
  return {
    kind: 'requestFederationApproval',
    genesisHash: genesis.hash,
    outpoint: `${toDisplayHash(claim.txid)}:${claim.vout}`,
    membersEpoch: 0,
    claim: PegInClaimType.serialize(claim),
    ...changes,
  }
}

export function forgedClaims(sources: ClaimSources): ForgedRequest[] {
  const { genesis, good, young, refundable, strangers, payout } = sources
  const { proof } = good
  const claims: readonly (readonly [string, PegInClaim])[] = [
    ['a transaction that does not exist', { ...good, txid: flipped(good.txid) }],
    ['an output that does not exist', { ...good, vout: 9 }],
    ['the OP_RETURN as the deposit', { ...good, vout: 1, amountSat: 0n }],
    ['the change as the deposit', { ...good, vout: 2 }],
    ['ten times the amount', { ...good, amountSat: good.amountSat * 10n }],
    ['one satoshi more', { ...good, amountSat: good.amountSat + 1n }],
    ['one satoshi less', { ...good, amountSat: good.amountSat - 1n }],
    ['another EVM address', { ...good, evmAddress: THIEF }],
    ['another refund script', { ...good, refundScript: hexBytes(`0014${'74'.repeat(20)}`) }],
    ['a credit as a refundable', { ...good, kind: 1, reason: 1 }],
    ['a credit as denied', { ...good, kind: 1, reason: 4 }],
    ['a credit as a donation', { ...good, kind: 2 }],
    ['a credit with a reason', { ...good, reason: 2 }],
    ['a kind that does not exist', { ...good, kind: 7 }],
    ['a refundable as a credit', { ...refundable, kind: 0, reason: 0, evmAddress: THIEF }],
    ['a refundable as a donation', { ...refundable, kind: 2, reason: 0 }],
    ['a refundable for another reason', { ...refundable, reason: 3 }],
    ['a deposit epoch to come', { ...good, depositEpoch: 1 }],
    ['a deposit too young', young],
    [
      'a young deposit under an old block',
      { ...young, proof: { ...young.proof, ...blockOf(proof) } },
    ],
    ['a payment between strangers', ofTransaction(good, strangers, 0)],
    ["a stranger's change", ofTransaction(good, strangers, 1)],
    ["the federation's change as a credit", ofTransaction(good, payout, 1)],
    ["the federation's change as a refundable", honestClaim(genesis, payout)],
    ['another block', { ...good, proof: { ...proof, blockHash: refundable.proof.blockHash } }],
    [
      'a block that does not exist',
      { ...good, proof: { ...proof, blockHash: flipped(proof.blockHash) } },
    ],
    [
      'another position',
      { ...good, proof: { ...proof, transactionIndex: proof.transactionIndex + 1 } },
    ],
    ['another branch', { ...good, proof: { ...proof, branch: proof.branch.map(flipped) } }],
    ['a longer branch', { ...good, proof: { ...proof, branch: [...proof.branch, good.txid] } }],
    [
      'another coinbase',
      { ...good, proof: { ...proof, coinbaseState: flipped(proof.coinbaseState) } },
    ],
    [
      'trailing bytes',
      { ...good, proof: { ...proof, transaction: Uint8Array.of(...proof.transaction, 0) } },
    ],
    [
      'a changed transaction',
      { ...good, proof: { ...proof, transaction: lastFlipped(proof.transaction) } },
    ],
  ]
  const bytes = PegInClaimType.serialize(good)
  const requests: readonly (readonly [string, NodeBody])[] = [
    ['another chain', askApproval(genesis, good, { genesisHash: flipped(genesis.hash) })],
    ['no chain', askApproval(genesis, good, { genesisHash: new Uint8Array(0) })],
    ['a members epoch to come', askApproval(genesis, good, { membersEpoch: 1 })],
    [
      'the outpoint of another deposit',
      askApproval(genesis, good, { outpoint: outpointOf(refundable) }),
    ],
    ['an outpoint that is none', askApproval(genesis, good, { outpoint: '../../etc/passwd:0' })],
    ['a long outpoint', askApproval(genesis, good, { outpoint: 'a'.repeat(100_000) })],
    ['an empty claim', askApproval(genesis, good, { claim: new Uint8Array(0) })],
    [
      'a claim cut short',
      askApproval(genesis, good, { claim: bytes.subarray(0, bytes.length - 1) }),
    ],
    ['a claim with a byte more', askApproval(genesis, good, { claim: Uint8Array.of(...bytes, 0) })],
    ['a claim of zeros', askApproval(genesis, good, { claim: new Uint8Array(bytes.length) })],
    [
      'a claim of ones',
      askApproval(genesis, good, { claim: new Uint8Array(bytes.length).fill(255) }),
    ],
    ['a large claim', askApproval(genesis, good, { claim: new Uint8Array(1_000_000) })],
  ]
  return [
    ...claims.map(([what, claim]) => ({ what, body: askApproval(genesis, claim) })),
    ...requests.map(([what, body]) => ({ what, body })),
  ]
}

function outpointOf({ txid, vout }: PegInClaim): string {
  return `${toDisplayHash(txid)}:${vout}`
}

/** A claim on an output of a transaction that is no deposit. */
function ofTransaction(good: PegInClaim, proof: TransactionProof, vout: number): PegInClaim {
  const transaction = parseTransaction(proof.transaction)
  if (!transaction.ok) throw new Error(transaction.error.reason)
  const amountSat = transaction.value.outputs[vout]?.amountSat ?? good.amountSat
  return { ...good, txid: txidOf(proof), vout, amountSat, evmAddress: THIEF, proof }
}

function txidOf({ transaction }: TransactionProof): Uint8Array {
  return sha256d(transaction)
}

function blockOf({
  blockHash,
  transactionIndex,
  branch,
  coinbaseState,
  coinbaseBlock,
  coinbaseBranch,
}: TransactionProof) {
  return {
    blockHash,
    transactionIndex,
    branch,
    coinbaseState,
    coinbaseBlock,
    coinbaseBranch,
  }
}

export function flipped(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte, index) => (index === 0 ? byte ^ 1 : byte))
}

function lastFlipped(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte, index) => (index === bytes.length - 6 ? byte ^ 1 : byte))
}

function must<T>(
  result:
    | { readonly ok: true; readonly value: T }
    | { readonly ok: false; readonly error: { readonly message: string } },
): T {
  if (!result.ok) throw new Error(`Bitcoin: ${result.error.message}`)
  return result.value
}

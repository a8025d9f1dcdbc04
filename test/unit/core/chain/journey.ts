/** One coin's journey as blocks: peg-in, burn, payout record, booking. */
import { Interface } from 'ethers'
import { type BitcoinTransaction, parseTransaction } from '../../../../core/bitcoin/index.ts'
import type { ParamsFile } from '../../../../core/params/index.ts'
import { openBatches } from '../../../../core/peg/index.ts'
import { hexBytes } from '../../../../crypto/index.ts'
import artifacts from '../../../../vm/evm/contracts/artifacts.json' with { type: 'json' }
import { BRIDGE_ADDRESS } from '../../../../vm/evm/index.ts'
import { type Call, type Key, keyOf, signed } from '../../vm/evm/fixtures.ts'
import { p2wpkh } from '../peg/world.ts'
import { EMPTY_QUEUE, type Made, Town } from './town.ts'

export const alice: Key = keyOf('alice')
export const WEI_PER_SAT = 10n ** 10n
const bridge = new Interface(JSON.stringify(artifacts.Bridge.abi))

/** A batch is due at once. */
export const EAGER: Partial<ParamsFile> = { batchWindowSeconds: 0 }

export function callData(name: string, ...args: readonly unknown[]): Uint8Array {
  return hexBytes(bridge.encodeFunctionData(name, args).slice(2))
}

export function transact(town: Town, key: Key, call: Call): Uint8Array {
  const { chainId } = town.genesis.execution
  return signed(key, { gas: 1_000_000n, chainId, ...call })
}

/** The call that burns its value for a script or address. */
export function burnData(destination: Uint8Array): Uint8Array {
  return callData('requestPegOut', destination)
}

/** requestPegOut for a script, straight at the Bridge. */
export function burn(
  town: Town,
  nonce: number,
  amountSat: bigint,
  script: Uint8Array = p2wpkh('bob'),
): Uint8Array {
  const data = burnData(script)
  return transact(town, alice, {
    nonce,
    to: BRIDGE_ADDRESS,
    data,
    value: amountSat * WEI_PER_SAT,
  })
}

/** The unsigned transaction of the only open batch. */
export function recordedPayout(town: Town): BitcoinTransaction {
  const bytes = openBatches(town.head.ledger)[0]?.versions[0]?.row.transaction
  const parsed = parseTransaction(bytes ?? new Uint8Array(0))
  if (!parsed.ok) throw new Error(parsed.error.reason)
  return parsed.value
}

export interface Journey {
  readonly town: Town
  readonly pegIn: Made
  readonly burned: Made
  readonly recorded: Made
  readonly booked: Made
  readonly late: Made
}

/** Blocks 1 to 5: peg-in, burn, record, booking, and an empty one of view 2. */
export async function travel(): Promise<Journey> {
  const town = await Town.open(EAGER)
  const pegIn = await town.grow({ queue: town.deposit('first', 5_000_000n, alice.address) })
  const burned = await town.grow({ transactions: [burn(town, 0, 2_000_000n)] })
  const recorded = await town.grow()
  const payout = recordedPayout(town)
  town.bitcoin.mine([payout])
  town.bitcoin.mine()
  const booked = await town.grow({
    queue: {
      ...EMPTY_QUEUE,
      headers: town.bitcoin.headersAfter(town.head.ledger.state.tipHeight),
      bookings: [town.bitcoin.proofOf(payout)],
    },
  })
  const late = await town.grow({ skip: 3 })
  return { town, pegIn, burned, recorded, booked, late }
}

/** What happens to a Bitcoin that is one's own: its branches change, blocks leave transactions out. Throws where it refuses. */
import type { BitcoinResult, BitcoinRpc } from '../../node/adapters/bitcoin-rpc/index.ts'
import type { TestFederation } from './federation.ts'

async function value<T>(asked: Promise<BitcoinResult<T>>): Promise<T> {
  const result = await asked
  if (!result.ok) throw new Error(result.error.message)
  return result.value
}

/** The last blocks give way to as many others and one more. */
export async function reorganize(federation: TestFederation, depth: number): Promise<void> {
  const { bitcoin } = federation
  await federation.stopMining()
  const hash = await value(bitcoin.getBlockHash((await tipHeight(federation)) - depth + 1))
  await value(bitcoin.call('invalidateblock', [hash]))
  await federation.mine(depth + 1)
  federation.startMining()
}

export async function tipHeight({ bitcoin }: TestFederation): Promise<number> {
  return (await value(bitcoin.getBlockchainInfo())).blocks
}

/** A block with these transactions of the mempool, which leaves all others out. */
export async function mineOnly(
  { bitcoin, wallet }: TestFederation,
  txids: readonly string[],
): Promise<void> {
  await value(bitcoin.call('generateblock', [wallet.address, txids]))
}

export function mempoolOf({ bitcoin }: TestFederation): Promise<readonly string[]> {
  return value(bitcoin.getRawMempool())
}

/** How many coins Bitcoin has under an address. */
export async function outputsOf(bitcoin: BitcoinRpc, address: string): Promise<number> {
  const scanned = await value(bitcoin.call('scantxoutset', ['start', [`addr(${address})`]]))
  return (scanned as { readonly unspents: readonly unknown[] }).unspents.length
}

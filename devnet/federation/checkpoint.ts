/** The Bitcoin header that a new chain starts after, read from the Bitcoin that it will follow (protocol §4.1). */
import type { GenesisFile } from '../../core/params/index.ts'
import type { BitcoinRpc } from '../../node/adapters/bitcoin-rpc/index.ts'

export type CheckpointSource = Pick<BitcoinRpc, 'getBlockchainInfo' | 'getBlockHash' | 'call'>

const RETARGET_BLOCKS = 2016
const MEDIAN_TIMES = 11

type BitcoinSection = GenesisFile['bitcoin']

/** The rules and checkpoint of a regtest at its present tip. Throws with the RPC's message when Bitcoin does not answer. */
export async function readCheckpoint(rpc: CheckpointSource): Promise<BitcoinSection> {
  const info = must(await rpc.getBlockchainInfo())
  if (info.chain !== 'regtest') {
    throw new Error(`a development federation needs a regtest, this Bitcoin is on ${info.chain}`)
  }
  const height = info.blocks
  const first = Math.max(0, height - MEDIAN_TIMES + 1)
  const times: number[] = []
  for (let at = first; at <= height; at++) {
    const verbose = must(await rpc.call('getblockheader', [await hashAt(rpc, at), true]))
    times.push((verbose as { time: number }).time)
  }
  const tip = must(await rpc.call('getblockheader', [info.bestBlockHash, true]))
  const periodHeight = Math.floor(height / RETARGET_BLOCKS) * RETARGET_BLOCKS
  return {
    network: 'regtest',
    genesisHash: await hashAt(rpc, 0),
    powLimitBits: 0x207fffff,
    noRetargeting: true,
    allowMinDifficulty: true,
    checkpoint: {
      height,
      header: await rawHeader(rpc, info.bestBlockHash),
      chainWork: (tip as { chainwork: string }).chainwork,
      times,
      periodStart: await rawHeader(rpc, await hashAt(rpc, periodHeight)),
    },
  }
}

async function hashAt(rpc: CheckpointSource, height: number): Promise<string> {
  return must(await rpc.call('getblockhash', [height])) as string
}

async function rawHeader(rpc: CheckpointSource, hash: string): Promise<string> {
  return must(await rpc.call('getblockheader', [hash, false])) as string
}

function must<T>(
  result:
    | { readonly ok: true; readonly value: T }
    | { readonly ok: false; readonly error: { readonly message: string } },
): T {
  if (!result.ok) throw new Error(`Bitcoin: ${result.error.message}`)
  return result.value
}

/** Where the rows of the reserve come from: a node that runs, the data directory of one, or a file. */
import { join } from 'node:path'
import { type ReserveFile, readReserveFile, reserveJson } from '../../bridge/index.ts'
import { ledgerFromRows } from '../../core/ledger/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { equalBytes } from '../../crypto/index.ts'
import { readChainStore } from '../../node/adapters/chain-store/index.ts'
import { createJsonPost } from '../../node/adapters/json-post/index.ts'
import { EXIT } from '../../node/adapters/system/index.ts'
import { Refusal, readJson } from './files.ts'

const CALL_MS = 30_000
const MAX_ANSWER_BYTES = 256 * 1024 * 1024

/** By JSON-RPC from any node. What it says is checked by nobody but Bitcoin, in the end. */
export async function reserveOfNode(text: string): Promise<unknown> {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new Refusal('Usage', `--url: ${text} is no URL`, EXIT.usage)
  }
  const post = createJsonPost({ url, maxSockets: 1, maxAnswerBytes: MAX_ANSWER_BYTES })
  try {
    const call = { jsonrpc: '2.0', id: 1, method: 'millrace_reserveRows', params: [] }
    const done = await post.post(JSON.stringify(call), { timeoutMs: CALL_MS })
    if (!done.ok) {
      throw new Refusal('NodeUnreachable', `${text}: ${done.fault.reason}`, EXIT.unreachable)
    }
    const answer = parsed(done.answer.body) as {
      readonly result?: unknown
      readonly error?: { readonly message?: string }
    }
    if (answer.error !== undefined || answer.result === undefined) {
      throw new Refusal('NodeRefused', `${text}: ${answer.error?.message ?? 'no answer'}`)
    }
    return answer.result
  } finally {
    post.close()
  }
}

function parsed(body: string): object {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}

/** From a node's data, also beside the running node. */
export async function reserveOfDirectory(genesis: Genesis, dataDir: string): Promise<unknown> {
  const directory = join(dataDir, 'chain')
  const opened = await readChainStore(directory)
  if (!opened.ok) throw new Refusal('ChainUnreadable', `${directory}: ${opened.reason}`, EXIT.data)
  const { store } = opened
  try {
    const ledger = ledgerFromRows(genesis, [...store.readLedgerRows()])
    if (ledger.ok) return reserveJson(genesis.hash, ledger.value)
    const { code, detail } = ledger.error
    throw new Refusal(code, `${directory}: ${detail}`, EXIT.data)
  } finally {
    await store.close()
  }
}

export async function readReserve(genesis: Genesis, path: string): Promise<ReserveFile> {
  return checkedReserve(genesis, await readJson(path), path)
}

export function checkedReserve(genesis: Genesis, value: unknown, from: string): ReserveFile {
  const read = readReserveFile(value)
  if (!read.ok) throw new Refusal(read.error.code, `${from}: ${read.error.reason}`, EXIT.data)
  if (!equalBytes(read.value.genesisHash, genesis.hash)) {
    throw new Refusal('ReserveOfAnotherChain', `${from}: of another genesis file`, EXIT.data)
  }
  return read.value
}

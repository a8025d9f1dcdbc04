/**
 * `millrace inspect`: the live supervision tree of a running node, or one of its actors. It asks the node's JSON-RPC
 * (`millrace_inspect`), as anybody may who may read its status page: figures and codes, no internals.
 */
import { parseArgs } from 'node:util'
import { wrongUse } from '../adapters/command-line/index.ts'
import { EXIT } from '../adapters/system/index.ts'
import { type ActorAnswer, actorText, type TreeAnswer, treeText } from './tree.ts'

export { type ActorAnswer, type ActorRow, actorText, type TreeAnswer, treeText } from './tree.ts'

const DEFAULT_URL = 'http://127.0.0.1:8545'
const CALL_MS = 5_000
const WATCH_MS = 1_000
/** Of an output that is no terminal. */
const PLAIN_WIDTH = 120
/** JSON-RPC's code of what does not exist. */
const NOT_FOUND = -32001
const CLEAR = '\u001b[H\u001b[2J'

export const USAGE = `usage: millrace inspect tree [options]
       millrace inspect actor NAME [options]

  tree              every actor of a running node: life, mode, pressure, messages handled, restarts,
                    age, and what waits in its mailbox by class
  actor NAME        one of them, with its figures by message type

  --url URL         JSON-RPC of the node [${DEFAULT_URL}]
  --json            one line of JSON
  --watch           again every second, until Ctrl-C
  --help            this text
`

interface Wanted {
  readonly url: string
  readonly json: boolean
  readonly watch: boolean
  /** Absent: the tree. */
  readonly actor?: string
}

type Answer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly message: string; readonly exitCode: number }

export async function main(args: readonly string[]): Promise<number> {
  const wanted = readOptions(args)
  if (wanted === 'help') {
    process.stdout.write(USAGE)
    return EXIT.ok
  }
  if (typeof wanted === 'string') {
    process.stderr.write(`millrace inspect: ${wanted}\n`)
    return EXIT.usage
  }
  if (wanted.watch) return watch(wanted)
  const answer = await ask(wanted)
  if (!answer.ok) {
    process.stderr.write(`millrace inspect: ${answer.message}\n`)
    return answer.exitCode
  }
  process.stdout.write(`${show(wanted, answer.value)}\n`)
  return EXIT.ok
}

/** A node that is away for a while comes back into view; only what can never be ends it. */
async function watch(wanted: Wanted): Promise<number> {
  const isTerminal = process.stdout.isTTY === true
  const clear = isTerminal && !wanted.json ? CLEAR : ''
  const { promise: signalled, resolve } = Promise.withResolvers<'signal'>()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve('signal'))
  let isFirst = true
  for (;;) {
    const answer = await ask(wanted)
    if (!answer.ok && (isFirst || answer.exitCode !== EXIT.unreachable)) {
      process.stderr.write(`millrace inspect: ${answer.message}\n`)
      return answer.exitCode
    }
    isFirst = false
    if (answer.ok) process.stdout.write(`${clear}${show(wanted, answer.value)}\n`)
    else process.stderr.write(`${clear}${answer.message}\n`)
    const pause = new Promise<'pause'>((done) => setTimeout(() => done('pause'), WATCH_MS))
    if ((await Promise.race([signalled, pause])) === 'signal') return EXIT.ok
  }
}

function show({ json, actor }: Wanted, value: unknown): string {
  if (json) return JSON.stringify(value)
  const width = process.stdout.columns ?? PLAIN_WIDTH
  return actor === undefined
    ? treeText(value as TreeAnswer, width)
    : actorText(value as ActorAnswer, width)
}

async function ask({ url, actor }: Wanted): Promise<Answer> {
  const params = actor === undefined ? [] : [actor]
  let answer: { readonly result?: unknown; readonly error?: { code: number; message: string } }
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'millrace_inspect', params }),
      signal: AbortSignal.timeout(CALL_MS),
    })
    answer = (await response.json()) as typeof answer
  } catch (error) {
    const message = `no node answers at ${url} (${reasonOf(error)}); --url URL names another`
    return { ok: false, message, exitCode: EXIT.unreachable }
  }
  if (answer.error === undefined) return { ok: true, value: answer.result }
  const exitCode = answer.error.code === NOT_FOUND ? EXIT.usage : EXIT.error
  return { ok: false, message: answer.error.message, exitCode }
}

function reasonOf(error: unknown): string {
  const { cause, message } = error as Error & { readonly cause?: { readonly code?: unknown } }
  return typeof cause?.code === 'string' ? cause.code : message
}

const FLAGS = {
  url: { type: 'string' },
  json: { type: 'boolean' },
  watch: { type: 'boolean' },
  help: { type: 'boolean' },
} as const

function parse(args: readonly string[]) {
  return parseArgs({ args: [...args], options: FLAGS, strict: true, allowPositionals: true })
}

function readOptions(args: readonly string[]): Wanted | 'help' | string {
  let parsed: ReturnType<typeof parse>
  try {
    parsed = parse(args)
  } catch (error) {
    return wrongUse(error)
  }
  const { values, positionals } = parsed
  if (values.help === true) return 'help'
  const [what, actor, ...rest] = positionals
  const isTree = what === 'tree' && actor === undefined
  const isActor = what === 'actor' && actor !== undefined && rest.length === 0
  if (!isTree && !isActor) return 'say what: tree, or actor NAME (--help tells more)'
  const url = values.url ?? DEFAULT_URL
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) return `--url is none: ${url}`
  const [json, watch] = [values.json === true, values.watch === true]
  return { url, json, watch, ...(actor !== undefined && { actor }) }
}

/** The options of `millrace dev`. */
import { parseArgs } from 'node:util'
import { wrongUse } from '../../node/adapters/command-line/index.ts'
import { tolerated } from './chaos.ts'

export interface DevelopmentOptions {
  readonly once: boolean
  readonly json: boolean
  /** Continued where it stopped; absent: a fresh one that is removed at the end. */
  readonly dataDir?: string
  readonly nodes: number
  readonly members: number
  /** `embedded`, `bitcoind`, or the URL of a regtest that runs. */
  readonly bitcoin: string
  /** First ports; each falls to the next free one unless it was asked for. */
  readonly rpcPort?: number
  /** Kill and restart processes while it runs, as this seed says. */
  readonly chaos?: number
  /** `bench`: large blocks, a large pool, no limits on calls; one node and one member unless told otherwise. */
  readonly preset: 'dev' | 'bench'
}

export const USAGE = `usage: millrace dev [options]      (npm start -- [options])

  --once            exit after the round trip and its table
  --json            end standard output with one line of JSON
  --data-dir DIR    continue there where it stopped (default: a fresh directory)
  --nodes N         federation nodes [4]
  --members M       governance nodes [4]
  --bitcoin WHICH   embedded (default), bitcoind (BITCOIND or PATH), or a URL
                    http://user:password@host:port of a regtest that runs
  --rpc-port PORT   JSON-RPC of the first node [8545 or the next free one]
  --chaos SEED      kill (SIGKILL) and restart nodes and members all the while, as the seed
                    says; never more at once than the protocol bears
  --preset bench    one node and one member, blocks of 500 M gas, a pool of 50,000, no limits on
                    calls: for measuring
  --help            this text
`

const FLAGS = {
  once: { type: 'boolean' },
  json: { type: 'boolean' },
  'data-dir': { type: 'string' },
  nodes: { type: 'string' },
  members: { type: 'string' },
  bitcoin: { type: 'string' },
  'rpc-port': { type: 'string' },
  chaos: { type: 'string' },
  preset: { type: 'string' },
  help: { type: 'boolean' },
} as const

const MOST = 16
const MOST_SEED = 4_294_967_295

export type ParsedOptions =
  | { readonly kind: 'options'; readonly options: DevelopmentOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'fault'; readonly message: string }

export function readOptions(args: readonly string[]): ParsedOptions {
  let values: ReturnType<typeof parse>
  try {
    values = parse(args)
  } catch (error) {
    return fault(wrongUse(error))
  }
  if (values.help === true) return { kind: 'help' }
  const preset = values.preset ?? 'dev'
  if (preset !== 'dev' && preset !== 'bench')
    return fault(`--preset is dev or bench, not ${preset}`)
  const size = preset === 'bench' ? '1' : '4'
  const nodes = wholeNumber(values.nodes ?? size, 1, MOST)
  const members = wholeNumber(values.members ?? size, 1, MOST)
  if (nodes === undefined) return fault(`--nodes takes a number from 1 to ${MOST}`)
  if (members === undefined) return fault(`--members takes a number from 1 to ${MOST}`)
  const bitcoin = values.bitcoin ?? 'embedded'
  if (bitcoin !== 'embedded' && bitcoin !== 'bitcoind' && !URL.canParse(bitcoin)) {
    return fault(`--bitcoin takes embedded, bitcoind or a URL, not ${bitcoin}`)
  }
  const rpcPort = values['rpc-port']
  const port = rpcPort === undefined ? undefined : wholeNumber(rpcPort, 1, 65_535)
  if (rpcPort !== undefined && port === undefined) return fault(`--rpc-port is no port: ${rpcPort}`)
  const chaos = values.chaos === undefined ? undefined : wholeNumber(values.chaos, 0, MOST_SEED)
  if (values.chaos !== undefined) {
    if (chaos === undefined) return fault(`--chaos takes a seed from 0 to ${MOST_SEED}`)
    const { node, member } = tolerated(nodes, members)
    if (node + member === 0) return fault('--chaos needs 4 nodes or 4 members: fewer bear no loss')
  }
  return {
    kind: 'options',
    options: {
      once: values.once === true,
      json: values.json === true,
      nodes,
      members,
      preset,
      bitcoin,
      ...(values['data-dir'] !== undefined && { dataDir: values['data-dir'] }),
      ...(port !== undefined && { rpcPort: port }),
      ...(chaos !== undefined && { chaos }),
    },
  }
}

function parse(args: readonly string[]) {
  return parseArgs({ args: [...args], options: FLAGS, strict: true }).values
}

function wholeNumber(text: string, least: number, most: number): number | undefined {
  const value = Number(text)
  return /^\d+$/.test(text) && value >= least && value <= most ? value : undefined
}

function fault(message: string): ParsedOptions {
  return { kind: 'fault', message }
}

/** SU-12 on real processes: a signal stops a program in order, a second one hurries it, and a client cannot hold it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { connect } from 'node:net'
import { join } from 'node:path'
import { until } from '../../devnet/launcher/rpc.ts'
import { TestFederation } from './federation.ts'

const PATIENCE = 300_000
const DOOR = join(import.meta.dirname, '..', '..', 'bin', 'millrace.cjs')

let federation: TestFederation
beforeAll(async () => {
  federation = await TestFederation.prepare({ nodes: 1, members: 1 })
}, PATIENCE)
afterAll(() => federation?.stop(), PATIENCE)

interface Exit {
  readonly code: number | null
  readonly tookMs: number
}

function start(command: string, directory: string): ChildProcess {
  const config = join(directory, 'config.json')
  return spawn(process.execPath, [DOOR, command, '--config', config], { stdio: 'ignore' })
}

/** Sends the signals, a second and a half apart; the time runs from the first. */
async function signalled(child: ChildProcess, signals: readonly NodeJS.Signals[]): Promise<Exit> {
  const startedMs = performance.now()
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
  for (const [index, signal] of signals.entries()) {
    setTimeout(() => child.kill(signal), index * 1_500)
  }
  return { code: await exited, tookMs: performance.now() - startedMs }
}

it.each([
  ['one signal', ['SIGTERM']],
  ['a second signal', ['SIGTERM', 'SIGINT']],
] as const)(
  'a node with a client that never ends its request stops on %s, with 0, and starts again',
  async (_, signals) => {
    const child = start('node', federation.files.nodeDirectory(0))
    await federation.answers(0)
    const { height } = await federation.heightAtLeast(1, federation.node(0))
    const { hostname, port } = new URL(federation.urls[0] as string)
    const client = connect(Number(port), hostname)
    client.on('error', () => client.destroy())
    client.write(`POST / HTTP/1.1\r\nhost: ${hostname}\r\ncontent-length: 9\r\n\r\n1`)
    const { code, tookMs } = await signalled(child, signals)
    client.destroy()
    expect(code).toBe(0)
    expect(tookMs).toBeLessThan(30_000)
    const again = start('node', federation.files.nodeDirectory(0))
    await federation.answers(0)
    const head = await federation.heightAtLeast(height, federation.node(0))
    expect(head.height).toBeGreaterThanOrEqual(height)
    expect((await signalled(again, ['SIGTERM'])).code).toBe(0)
  },
  PATIENCE,
)

it(
  'a member that reaches no node stops on a signal with 0',
  async () => {
    const child = start('governance', federation.files.memberDirectory(0))
    await until('the status page of the member', 60_000, async () =>
      fetch(`${federation.memberUrls[0]}/live`).then(
        ({ ok }) => ok || undefined,
        () => undefined,
      ),
    )
    const { code, tookMs } = await signalled(child, ['SIGTERM', 'SIGTERM'])
    expect(code).toBe(0)
    expect(tookMs).toBeLessThan(30_000)
  },
  PATIENCE,
)

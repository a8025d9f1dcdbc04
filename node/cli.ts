/** `millrace node`: reads the configuration, runs the program until a signal. */
import type { Clock } from '../supervisor/index.ts'
import { EXIT } from './adapters/system/index.ts'
import { readNodeOptions } from './config/index.ts'
import { startNode } from './program.ts'

/** Exit codes as operations.md has them. */
export async function main(args: readonly string[], clock?: Clock): Promise<number> {
  const options = readNodeOptions(args)
  if ('text' in options) {
    ;(options.exitCode === 0 ? process.stdout : process.stderr).write(`${options.text}\n`)
    return options.exitCode
  }
  const started = await startNode(options.program, clock)
  if (!started.ok) {
    const { code, exitCode, message } = started.fault
    process.stderr.write(`millrace node: ${code}: ${message}\n`)
    return exitCode
  }
  const { node } = started
  process.stdout.write(`${JSON.stringify({ event: 'ready', rpc: node.rpcUrl })}\n`)
  const signalled = new Promise<undefined>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        resolve(undefined)
        void node.stop()
      })
    }
  })
  const end = await Promise.race([signalled, node.terminated])
  await node.stop()
  if (end === undefined) return EXIT.ok
  process.stderr.write(`millrace node: stopped: ${end.message}\n`)
  return end.exitCode
}

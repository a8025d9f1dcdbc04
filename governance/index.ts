/**
 * A governance node: the member's own program (protocol §5.6, design §8). It holds one member's keys, keeps a stream to every
 * federation node, follows the chain with a light client and Bitcoin with its own endpoint, and signs what it has checked
 * itself: deposits that its Bitcoin shows, batches that proven ledger rows give. Nodes are untrusted relays. Kept
 * invariant: no signature leaves before the journal has it on disk; what is unknown is never signed and never refused.
 */
import { EXIT } from '../node/adapters/system/index.ts'
import { readConfig, USAGE } from './config.ts'
import { startMember } from './program.ts'
import { runProgram } from './run.ts'

export type { MemberConfig, MemberConfigFile } from './config.ts'
export { parseConfig, readConfig } from './config.ts'
export { type RunningMember, startMember } from './program.ts'
export { createMemberTree, type MemberPorts } from './tree.ts'

/** Exit codes: those of `runProgram`. */
export async function main(args: readonly string[]): Promise<number> {
  const config = readConfig(args)
  if (config === 'help') {
    process.stdout.write(USAGE)
    return EXIT.ok
  }
  if ('code' in config) {
    process.stderr.write(`millrace governance: ${config.message}\n`)
    return config.code === 'WrongUse' ? EXIT.usage : EXIT.configuration
  }
  return await runProgram('governance', () => startMember(config))
}

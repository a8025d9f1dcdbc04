/**
 * A governance node: the member's own program (protocol §5.6, design §8). It holds one member's keys, keeps a stream to every
 * federation node, follows the chain with a light client and Bitcoin with its own endpoint, and signs what it has checked
 * itself: deposits that its Bitcoin shows, batches that proven ledger rows give. Nodes are untrusted relays. Kept
 * invariant: no signature leaves before the journal has it on disk; what is unknown is never signed and never refused.
 */
import { readConfig, USAGE } from './config.ts'
import { type RunningMember, startMember } from './program.ts'

export type { MemberConfig, MemberConfigFile } from './config.ts'
export { parseConfig, readConfig } from './config.ts'
export { type MemberFault, type RunningMember, startMember } from './program.ts'
export { createMemberTree, type MemberPorts } from './tree.ts'

/** Exit codes: 0 stopped, 3 configuration, 4 data; 1, 3, 4 or 5 when an actor was given up, by its fault. */
export async function main(args: readonly string[]): Promise<number> {
  const config = readConfig(args)
  if (config === 'help') {
    process.stdout.write(USAGE)
    return 0
  }
  if ('code' in config) {
    process.stderr.write(`millrace governance: ${config.message}\n`)
    return 3
  }
  // From here on a signal means a graceful stop, even while the program is still starting.
  let member: RunningMember | undefined
  let isAsked = false
  const signalled = new Promise<undefined>((resolve) => {
    const onSignal = () => {
      isAsked = true
      // The second signal hurries what the first began.
      void member?.stop().then(() => resolve(undefined))
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })
  const started = await startMember(config)
  if (!started.ok) {
    process.stderr.write(`millrace governance: ${started.fault.message}\n`)
    return started.fault.exitCode
  }
  member = started.member
  if (isAsked) {
    await member.stop()
    return 0
  }
  const ended = await Promise.race([signalled, member.terminated])
  if (ended === undefined) return 0
  process.stderr.write(`millrace governance: stopped: ${ended.message}\n`)
  await member.stop()
  return ended.exitCode
}

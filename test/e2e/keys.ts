/** The federation's keys in tests: which there are, members that call for the next one, and which key the reserve is under. */
import { join } from 'node:path'
import { until } from '../../devnet/launcher/rpc.ts'
import { PATIENCE_MS, type TestFederation } from './federation.ts'
import { type Program, runProgram } from './program.ts'

/** As `millrace_keygenStatus` tells it, as far as tests read it. */
export interface Keys {
  readonly epoch: number
  readonly keys: readonly { readonly epoch: number; readonly validUntil: number | null }[]
  readonly making?: { readonly stage: string; readonly waitingFor: readonly number[] }
}

export interface ReserveRow {
  readonly outpoint: string
  readonly epoch: number
}

export function keysOf({ rpc }: TestFederation): Promise<Keys> {
  return rpc.call<Keys>('millrace_keygenStatus', [])
}

export async function keyMade(federation: TestFederation, epoch: number): Promise<Keys> {
  return until(`the key of epoch ${epoch}`, 4 * PATIENCE_MS, async () => {
    const keys = await keysOf(federation)
    return keys.epoch === epoch ? keys : undefined
  })
}

/** The command of the guide, with a member's own key file, at one node. */
export function callForKey(
  { files, urls }: TestFederation,
  member: number,
  node: number,
): Promise<Program & { readonly code: number | null }> {
  const directory = files.memberDirectory(member)
  const own = ['--keys', join(directory, 'keys.json')]
  own.push('--password-file', join(directory, 'password'))
  const there = ['--genesis', files.genesisFile, '--url', urls[node] as string]
  return runProgram('handover', 'call', ...own, ...there)
}

export async function reserveRows({ rpc }: TestFederation): Promise<readonly ReserveRow[]> {
  const { outputs } = await rpc.call<{ outputs: ReserveRow[] }>('millrace_reserveRows', [])
  return outputs
}

/** Epochs of the keys that the reserve is under. */
export async function reserveEpochs(federation: TestFederation): Promise<readonly number[]> {
  return [...new Set((await reserveRows(federation)).map(({ epoch }) => epoch))].sort()
}

/** Finds the signer when a member starts: it is waited for, within bounds, and its name is checked before anything is asked of it. */
import type { Genesis } from '../../core/params/index.ts'
import {
  openSignerClient,
  type SignerClientOptions,
} from '../../node/adapters/governance-grpc/index.ts'
import type { Clock, KernelPorts, TimerHandle } from '../../supervisor/index.ts'
import type { Keystore } from '../keystore.ts'
import { type ProgramFault, SOFTWARE } from '../run.ts'
import { createRemoteVault, type RemoteVault } from './vault.ts'

/** A signer that starts at the same time is there by then; a supervisor of processes tries again after that. */
const FIND_MS = 30_000
const RETRY_MS = 500
const ASK_MS = 5_000

export interface FoundSigner extends Keystore {
  readonly memberIndex: number
}

export async function openSigner(
  signer: Omit<SignerClientOptions, 'clock'>,
  genesis: Genesis,
  { clock, log }: Pick<KernelPorts, 'clock' | 'log'>,
  findMs = FIND_MS,
): Promise<FoundSigner | ProgramFault> {
  const client = openSignerClient({ ...signer, clock })
  const vault = createRemoteVault({
    client,
    genesis,
    software: SOFTWARE,
    noted: (isThere, fields) => {
      const [level, event] = isThere
        ? (['info', 'the signer answers again'] as const)
        : (['error', 'no answer of the signer'] as const)
      log.write({ level, atMs: clock.nowMs(), actor: 'vault', event, fields })
    },
  })
  const untilMs = clock.nowMs() + findMs
  for (;;) {
    const found = await vault.welcome()
    if (found.ok) {
      const { memberIndex } = found.value
      if (genesis.members[memberIndex] !== undefined) {
        const stop = keepAsking(vault, clock)
        const close = async () => {
          stop()
          client.close()
        }
        return { vault, memberIndex, isThere: () => vault.isThere(), close }
      }
    }
    const { code, detail } = found.ok
      ? { code: 'SignerFailed', detail: 'it names no member of the genesis file' }
      : found
    const isHopeless = code === 'SignerOfAnotherChain' || code === 'SignerFailed'
    if (isHopeless || clock.nowMs() >= untilMs) {
      client.close()
      const message = `signer ${signer.endpoint}: ${code}: ${detail}`
      return { code, message, exitCode: isHopeless ? 3 : 5 }
    }
    await pause(clock, RETRY_MS)
  }
}

/** A signer that is gone is told before something waits for it. */
function keepAsking(vault: RemoteVault, clock: Clock): () => void {
  let timer: TimerHandle
  let isStopped = false
  const next = () => {
    timer = clock.setTimer(ASK_MS, () => {
      void vault.welcome().then(() => {
        if (!isStopped) next()
      })
    })
  }
  next()
  return () => {
    isStopped = true
    timer.cancel()
  }
}

function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.setTimer(ms, resolve)
  })
}

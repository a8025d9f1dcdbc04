/** The vault over the files of a member: its key file, and a data directory with journal, shares and the validators in whom it believes. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { KnownBlock } from '../core/light/index.ts'
import type { Genesis } from '../core/params/index.ts'
import type { KernelPorts } from '../supervisor/index.ts'
import type { PolicySettings } from './config.ts'
import { fileHeadStore } from './head-store.ts'
import { openJournal } from './journal.ts'
import { type MemberKeys, openMemberKeys } from './keys.ts'
import type { MemberPolicy } from './policy.ts'
import type { OwnBitcoin, Vault } from './port.ts'
import type { ProgramFault } from './run.ts'
import { fileShareStore } from './shares.ts'
import { createVault } from './vault.ts'

export interface KeystoreFiles {
  readonly keyFile: string
  readonly passwordFile: string
}

export interface OpenedKeys {
  readonly memberIndex: number
  readonly keys: MemberKeys
  readonly password: string
}

/** Throws where a file cannot be read. */
export function readKeys(genesis: Genesis, files: KeystoreFiles): OpenedKeys | ProgramFault {
  const { keyFile, passwordFile } = files
  const password = readFileSync(passwordFile, 'utf8').trim()
  const opened = openMemberKeys(genesis, JSON.parse(readFileSync(keyFile, 'utf8')), password)
  if (opened.ok) return { memberIndex: opened.memberIndex, keys: opened.keys, password }
  const { code } = opened.error
  return { code, message: `${keyFile}: ${code}`, exitCode: 3 }
}

export interface Keystore {
  readonly vault: Vault
  /** Whether it can be asked. */
  isThere(): boolean
  close(): Promise<void>
}

export interface KeystoreOptions {
  readonly genesis: Genesis
  readonly dataDir: string
  readonly opened: OpenedKeys
  readonly policy: PolicySettings
  readonly kernel: Pick<KernelPorts, 'clock' | 'random'>
  readonly bitcoin?: OwnBitcoin
  readonly trustedBlock?: KnownBlock | undefined
}

/** The directory is there, and this process holds it. */
export async function openKeystore(options: KeystoreOptions): Promise<Keystore | ProgramFault> {
  const { bitcoin, dataDir, genesis, kernel, opened, policy, trustedBlock } = options
  const path = join(dataDir, 'journal.jsonl')
  const journal = await openJournal(path)
  if ('code' in journal) {
    const message = `${path}: line ${journal.line} is damaged`
    return { code: journal.code, message, exitCode: 4 }
  }
  const random = (length: number) => kernel.random.bytes(length)
  const { keys, memberIndex, password } = opened
  const vault = createVault({
    genesis,
    memberIndex,
    keys,
    policy: memberPolicy(policy),
    journal,
    shares: await fileShareStore({ directory: join(dataDir, 'shares'), password, random }),
    trust: fileHeadStore(join(dataDir, 'trust.json'), genesis),
    ...(trustedBlock && { trustedBlock }),
    ...(bitcoin && { bitcoin }),
    nowMs: () => kernel.clock.nowMs(),
    random,
  })
  return { vault, isThere: () => true, close: () => journal.close() }
}

function memberPolicy(settings: PolicySettings): MemberPolicy {
  const { confirmations, dailyLimitSat, dailySweepFeeSat, hold } = settings
  return {
    confirmations,
    hold,
    ...(dailySweepFeeSat !== undefined && { dailySweepFeeSat: BigInt(dailySweepFeeSat) }),
    ...(dailyLimitSat !== undefined && { dailyLimitSat: BigInt(dailyLimitSat) }),
  }
}

/**
 * What a member keeps of the federation's keys: a session's secret while a key is made, its share of each key that was. Files under the
 * member's password (crypto/keystore), fsynced before anybody hears of them; shares of old epochs stay (protocol §5.8), the secret
 * of a session goes when it is over. Nothing here ever holds another member's share.
 */
import { readdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { decodeKeygenContent, encodeKeygenContent } from '../core/keygen/index.ts'
import {
  bigintFromBytes,
  bigintToBytes,
  concatBytes,
  openKeyFile,
  type ScryptCost,
  sealKeyFile,
  toHex,
  uint32be,
} from '../crypto/index.ts'
import { makeDirectory, readIfPresent, replaceFile, syncDirectory } from './files.ts'
import type { HeldShare, SessionSecret } from './keygen-part.ts'

export interface ShareStore {
  session(sessionId: Uint8Array): Promise<SessionSecret | undefined>
  /** Resolves when it is on disk. */
  saveSession(session: SessionSecret): Promise<void>
  /** How many are kept. */
  sessionCount(): Promise<number>
  /** Of the key that this session made: `KeyRow.sessionId`. */
  share(sessionId: Uint8Array): Promise<HeldShare | undefined>
  /** The same, read anew: what this process remembers may be gone from the disk. */
  shareOnDisk(sessionId: Uint8Array): Promise<HeldShare | undefined>
  /** Resolves when it is on disk. */
  saveShare(held: HeldShare): Promise<void>
  /** The key of this epoch is made: what was only needed to make it, or those before, goes. What makes a later one stays. */
  forgetSessions(epoch: number): Promise<void>
}

export interface ShareStoreOptions {
  readonly directory: string
  readonly password: string
  readonly random: (length: number) => Uint8Array
  readonly cost?: ScryptCost
}

const SESSION = /^session-[0-9a-f]{64}\.json$/
const SHARE = /^share-[0-9a-f]{64}\.json$/

/** A file that is damaged or under another password rejects: only a person can say what it is. */
export async function fileShareStore(options: ShareStoreOptions): Promise<ShareStore> {
  const { directory, password } = options
  await makeDirectory(directory)
  const sessionPath = (id: Uint8Array) => join(directory, `session-${toHex(id)}.json`)
  const sharePath = (id: Uint8Array) => join(directory, shareFileName(id))
  const sessions = new Map<string, SessionSecret>()
  const shares = new Map<string, HeldShare>()
  return {
    session: async (sessionId) => {
      const name = toHex(sessionId)
      const known = sessions.get(name) ?? (await readSession(options, sessionPath(sessionId)))
      if (known !== undefined) sessions.set(name, known)
      return known
    },
    saveSession: async (session) => {
      const { epoch, secret, sessionId, told } = session
      await write(options, sessionPath(sessionId), `session of the key of epoch ${epoch}`, {
        publicKeys: {
          epoch: uint32be(epoch),
          session: sessionId,
          signer: uint32be(secret.signer),
          package: encodeKeygenContent('package', told),
        },
        secrets: {
          coefficients: concatBytes(...secret.coefficients.map((one) => bigintToBytes(one, 32))),
          decryption: secret.decryptionKey,
        },
      })
      sessions.set(toHex(sessionId), session)
    },
    sessionCount: async () => (await sessionFiles(directory)).length,
    share: async (sessionId) => {
      const name = toHex(sessionId)
      const known = shares.get(name) ?? (await readShareFile(sharePath(sessionId), password))
      if (known !== undefined) shares.set(name, known)
      return known
    },
    shareOnDisk: (sessionId) => readShareFile(sharePath(sessionId), password),
    saveShare: async (held) => {
      const { commitments, epoch, sessionId, share, signers } = held
      await write(options, sharePath(sessionId), `share of the key of epoch ${epoch}`, {
        publicKeys: {
          epoch: uint32be(epoch),
          session: sessionId,
          signer: uint32be(share.signer),
          signers: concatBytes(...signers.map(uint32be)),
          commitments: concatBytes(...commitments),
        },
        secrets: { share: share.secret },
      })
      shares.set(toHex(sessionId), held)
    },
    forgetSessions: async (epoch) => {
      for (const [name, session] of sessions) if (session.epoch <= epoch) sessions.delete(name)
      const names = await sessionFiles(directory)
      let isChanged = false
      for (const name of names) {
        const path = join(directory, name)
        if (((await epochOf(path)) ?? Number.POSITIVE_INFINITY) > epoch) continue
        await unlink(path)
        isChanged = true
      }
      if (isChanged) await syncDirectory(directory)
    },
  }
}

/** A session makes one key at most, and an epoch may take several sessions: none overwrites the share of another. */
export function shareFileName(sessionId: Uint8Array): string {
  return `share-${toHex(sessionId)}.json`
}

async function sessionFiles(directory: string): Promise<readonly string[]> {
  return (await readdir(directory)).filter((name) => SESSION.test(name))
}

/** The names of a directory's share files. */
export async function shareFiles(directory: string): Promise<readonly string[]> {
  return (await readdir(directory)).filter((name) => SHARE.test(name)).sort()
}

type Named = Readonly<Record<string, Uint8Array>>

async function write(
  { cost, password, random }: ShareStoreOptions,
  path: string,
  label: string,
  content: { readonly publicKeys: Named; readonly secrets: Named },
): Promise<void> {
  const file = sealKeyFile({ label, ...content, password, random, ...(cost && { cost }) })
  await replaceFile(path, `${JSON.stringify(file)}\n`)
}

async function read(
  { password }: Pick<ShareStoreOptions, 'password'>,
  path: string,
): Promise<{ readonly publicKeys: Named; readonly secrets: Named } | undefined> {
  const text = await readIfPresent(path)
  if (text === undefined) return undefined
  const file = JSON.parse(text) as { readonly publicKeys: Readonly<Record<string, string>> }
  const opened = openKeyFile(file, password)
  if (!opened.ok) throw new Error(`${path}: ${opened.error.code}`)
  const entries = Object.entries(file.publicKeys).map(([name, hex]) => {
    return [name, Uint8Array.from(Buffer.from(hex, 'hex'))] as const
  })
  return { publicKeys: Object.fromEntries(entries), secrets: opened.value }
}

/** Whose key a session's file is for; it stands there openly. Undefined where the file does not say. */
async function epochOf(path: string): Promise<number | undefined> {
  try {
    const { publicKeys } = JSON.parse((await readIfPresent(path)) ?? '') as {
      readonly publicKeys: { readonly epoch: string }
    }
    const epoch = Number.parseInt(publicKeys.epoch, 16)
    return Number.isNaN(epoch) ? undefined : epoch
  } catch {
    return undefined
  }
}

async function readSession(
  options: ShareStoreOptions,
  path: string,
): Promise<SessionSecret | undefined> {
  const found = await read(options, path)
  if (found === undefined) return undefined
  const { coefficients, decryption } = found.secrets
  const { epoch, package: told, session, signer } = found.publicKeys
  const content = told && decodeKeygenContent('package', told)
  if (!coefficients || !decryption || !epoch || !session || !signer || !content) {
    throw new Error(`${path}: incomplete`)
  }
  return {
    epoch: Number(bigintFromBytes(epoch)),
    sessionId: session,
    secret: {
      signer: Number(bigintFromBytes(signer)),
      coefficients: pieces(coefficients, 32).map(bigintFromBytes),
      decryptionKey: decryption,
    },
    told: content,
  }
}

/** A share's file; undefined where there is none. Rejects as the store does. */
export async function readShareFile(
  path: string,
  password: string,
): Promise<HeldShare | undefined> {
  const found = await read({ password }, path)
  if (found === undefined) return undefined
  const { commitments, epoch, session, signer, signers } = found.publicKeys
  const { share } = found.secrets
  if (!commitments || !epoch || !session || !signer || !signers || !share) {
    throw new Error(`${path}: incomplete`)
  }
  return {
    epoch: Number(bigintFromBytes(epoch)),
    sessionId: session,
    commitments: pieces(commitments, 33),
    signers: pieces(signers, 4).map((one) => Number(bigintFromBytes(one))),
    share: { signer: Number(bigintFromBytes(signer)), secret: share },
  }
}

function pieces(bytes: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: bytes.length / size }, (_, at) =>
    bytes.slice(at * size, (at + 1) * size),
  )
}

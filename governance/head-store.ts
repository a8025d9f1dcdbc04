/** The state file of the light client: the highest header that this member verified, and the validators of the height after it. */
import { z } from 'zod'
import {
  decodeCertificate,
  decodeHeader,
  decodeValidators,
  encodeCertificate,
  encodeHeader,
  encodeValidators,
  hashValidators,
} from '../core/block/index.ts'
import type { CertifiedHeader } from '../core/light/index.ts'
import type { Genesis } from '../core/params/index.ts'
import { equalBytes, fromHex, toHex } from '../crypto/index.ts'
import { readIfPresent, replaceFile } from './files.ts'
import type { StoredHead } from './light-client.ts'
import type { FollowedStore, HeadStore, Vault } from './port.ts'
import { headerMs, renewMs } from './trust.ts'

const stateSchema = z.object({
  version: z.literal(1),
  genesis: z.string(),
  height: z.number().int().min(0),
  header: z.string(),
  /** Absent in files from before the validators could change: the genesis file's. */
  nextValidators: z.string().optional(),
  /** Absent in files from before it was kept. */
  certificate: z.string().optional(),
})

/** A file of another chain, or one that is no state file, rejects: only a person can say what it is. */
export function fileHeadStore(path: string, genesis: Genesis): HeadStore {
  const chain = toHex(genesis.hash)
  return {
    load: async () => {
      const text = await readIfPresent(path)
      return text === undefined ? undefined : parseState(path, text, genesis)
    },
    save: ({ certificate, header, nextValidators }) =>
      replaceFile(
        path,
        `${JSON.stringify({
          version: 1,
          genesis: chain,
          height: header.height,
          header: toHex(encodeHeader(header)),
          nextValidators: toHex(encodeValidators(nextValidators)),
          ...(certificate && { certificate: toHex(encodeCertificate(certificate)) }),
        })}\n`,
      ),
  }
}

/**
 * The follower's file behind the vault's belief: it never gets past a change of validators that the vault has not followed, and where the two
 * know different sets (a vault from a backup, or a new one) the follower begins again where the vault stands. It shows the vault a header now and
 * then, so that what the vault believes does not get old where nothing is asked.
 */
export function storeBehindVault(
  store: HeadStore,
  vault: Pick<Vault, 'head' | 'follow'>,
  genesis: Genesis,
): FollowedStore {
  let pending: readonly CertifiedHeader[] = []
  let shownMs = 0
  return {
    load: async () => {
      const [own, believed] = [await store.load(), await vault.head()]
      shownMs = headerMs(genesis, believed.header)
      if (own === undefined) return believed
      const { height, nextValidatorsHash } = believed.header
      const isSame = equalBytes(own.header.nextValidatorsHash, nextValidatorsHash)
      return isSame && own.header.height >= height ? { ...believed, ...own } : believed
    },
    belief: () => vault.head().catch(() => undefined),
    confirm: async (item) => {
      pending = []
      await vault.follow([item])
    },
    save: async (head, announced) => {
      pending = [...pending, ...announced]
      if (pending.length > MAX_PENDING)
        throw new Error('the signer follows no change of validators')
      const { certificate, header } = head
      const headMs = headerMs(genesis, header)
      const isDue = headMs - shownMs > renewMs(genesis)
      const shown = isDue && certificate ? [...pending, { ...head, certificate }] : pending
      if (shown.length > 0 && !(await vault.follow(shown))) return
      pending = []
      if (isDue) shownMs = headMs
      await store.save(head)
    },
  }
}

/** Changes of validators that wait for a vault which does not answer. */
const MAX_PENDING = 256

function parseState(path: string, text: string, genesis: Genesis): StoredHead {
  const chain = toHex(genesis.hash)
  const damaged = (reason: string): Error => new Error(`state file ${path}: ${reason}`)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw damaged('not JSON')
  }
  const parsed = stateSchema.safeParse(value)
  if (!parsed.success) throw damaged('not a state file')
  if (parsed.data.genesis !== chain) throw damaged('of another chain')
  const bytes = fromHex(parsed.data.header)
  const header = bytes === undefined ? undefined : decodeHeader(bytes)
  if (header?.ok !== true) throw damaged('the header does not decode')
  const stored = parsed.data.nextValidators
  const read =
    stored === undefined ? undefined : decodeValidators(fromHex(stored) ?? new Uint8Array(1))
  if (read?.ok === false) throw damaged('the validators do not decode')
  const nextValidators = read?.value ?? genesis.validators
  if (!equalBytes(hashValidators(nextValidators), header.value.nextValidatorsHash)) {
    throw damaged('the validators are not those that the header names')
  }
  if (parsed.data.certificate === undefined) return { header: header.value, nextValidators }
  const certificate = decodeCertificate(fromHex(parsed.data.certificate) ?? new Uint8Array(1))
  if (!certificate.ok) throw damaged('the certificate does not decode')
  return { header: header.value, nextValidators, certificate: certificate.value }
}

/** The state file of the light client: the highest header that this member verified, and the validators of the height after it. */
import { z } from 'zod'
import {
  decodeHeader,
  decodeValidators,
  encodeHeader,
  encodeValidators,
  hashValidators,
} from '../core/block/index.ts'
import type { Genesis } from '../core/params/index.ts'
import { equalBytes, fromHex, toHex } from '../crypto/index.ts'
import { readIfPresent, replaceFile } from './files.ts'
import type { StoredHead } from './light-client.ts'
import type { HeadStore } from './port.ts'

const stateSchema = z.object({
  version: z.literal(1),
  genesis: z.string(),
  height: z.number().int().min(0),
  header: z.string(),
  /** Absent in files from before the validators could change: the genesis file's. */
  nextValidators: z.string().optional(),
})

/** A file of another chain, or one that is no state file, rejects: only a person can say what it is. */
export function fileHeadStore(path: string, genesis: Genesis): HeadStore {
  const chain = toHex(genesis.hash)
  return {
    load: async () => {
      const text = await readIfPresent(path)
      return text === undefined ? undefined : parseState(path, text, genesis)
    },
    save: ({ header, nextValidators }) =>
      replaceFile(
        path,
        `${JSON.stringify({
          version: 1,
          genesis: chain,
          height: header.height,
          header: toHex(encodeHeader(header)),
          nextValidators: toHex(encodeValidators(nextValidators)),
        })}\n`,
      ),
  }
}

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
  return { header: header.value, nextValidators }
}

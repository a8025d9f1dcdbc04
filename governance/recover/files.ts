/** What the commands of recovery read and write, and how they end when something is not as it must be. */
import { readFile, writeFile } from 'node:fs/promises'
import { type Genesis, parseGenesis } from '../../core/params/index.ts'
import { blsSuite, openKeyFile } from '../../crypto/index.ts'
import { Refusal, usage } from '../../node/adapters/command-line/index.ts'
import { createSystemRandom, EXIT } from '../../node/adapters/system/index.ts'

export { Refusal, usage } from '../../node/adapters/command-line/index.ts'

const chance = createSystemRandom()

/** Bytes that nobody can foresee. */
export function random(length: number): Uint8Array {
  return chance.bytes(length)
}

/** A flag that the command cannot do without. */
export function wanted(name: string, value: string | undefined): string {
  if (value === undefined) throw usage(`--${name} is needed`)
  return value
}

export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new Refusal('FileUnreadable', (error as Error).message, EXIT.configuration)
  }
}

export async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readText(path))
  } catch (error) {
    if (error instanceof Refusal) throw error
    throw new Refusal('FileMalformed', `${path} is not JSON`, EXIT.data)
  }
}

/** Nothing is overwritten: a file may be the only copy of a signature. */
export async function writeNew(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { mode: 0o600, flag: 'wx' })
  } catch (error) {
    throw new Refusal('FileNotWritten', (error as Error).message, EXIT.configuration)
  }
}

export async function readGenesis(path: string | undefined): Promise<Genesis> {
  const parsed = parseGenesis(await readJson(wanted('genesis', path)), blsSuite)
  if (parsed.ok) return parsed.value
  throw new Refusal('GenesisInvalid', `${path}: ${parsed.error.reason}`, EXIT.configuration)
}

export async function readPassword(path: string | undefined): Promise<string> {
  return (await readText(wanted('password-file', path))).trim()
}

/** The BIP340 secret of one holder, out of its key file. */
export async function readSchnorrSecret(
  keys: string | undefined,
  passwordFile: string | undefined,
): Promise<Uint8Array> {
  const path = wanted('keys', keys)
  const opened = openKeyFile(await readJson(path), await readPassword(passwordFile))
  if (!opened.ok) {
    throw new Refusal(opened.error.code, `${path} does not open`, EXIT.configuration)
  }
  const { schnorr } = opened.value
  if (schnorr?.length !== 32) {
    throw new Refusal('KeysIncomplete', `${path} has no schnorr key`, EXIT.configuration)
  }
  return schnorr
}

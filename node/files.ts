/** The files that a node reads before it starts: genesis, keys, TLS identity. */
import { readFileSync } from 'node:fs'
import { type Genesis, parseGenesis } from '../core/params/index.ts'
import { blsSigner, blsSuite, fromHex, openKeyFile, rememberVerified } from '../crypto/index.ts'
import type { NodeConfig } from './config/index.ts'

/** Why the program did not start; `exitCode` as operations.md has them (3 config, 4 data, 5 unreachable). */
export interface StartFault {
  readonly code: string
  readonly message: string
  readonly exitCode: number
}

export interface NodeFiles {
  readonly genesis: Genesis
  /** It signs at the heights whose set has its key; at the others the node observes. */
  readonly validator?: {
    readonly blsKey: Uint8Array
    sign(message: Uint8Array): Uint8Array
  }
  readonly networkKey: Uint8Array
  readonly tls: {
    readonly authorityPem: string
    readonly certificatePem: string
    readonly privateKeyPem: string
  }
}

/** The votes and certificates of some ten heights of a hundred validators. */
const REMEMBERED_SIGNATURES = 4_096

/** Everything that is read once at the start, checked; or the one line that says what is wrong. */
export function readFiles(options: NodeConfig): NodeFiles | StartFault {
  const fault = (code: string, message: string): StartFault => ({ code, message, exitCode: 3 })
  let text: (path: string) => string
  try {
    text = (path) => readFileSync(path, 'utf8')
    const parsed = parseGenesis(
      JSON.parse(text(options.genesisFile)),
      rememberVerified(blsSuite, REMEMBERED_SIGNATURES),
    )
    if (!parsed.ok) return fault('GenesisInvalid', `${options.genesisFile}: ${parsed.error.reason}`)
    const genesis = parsed.value
    const networkKey = fromHex(text(options.networkKeyFile).trim())
    if (networkKey?.length !== 32) {
      return fault('NetworkKeyInvalid', `${options.networkKeyFile}: not 32 bytes in hex`)
    }
    const tls = {
      authorityPem: text(options.governance.authorityFile),
      certificatePem: text(options.governance.certificateFile),
      privateKeyPem: text(options.governance.privateKeyFile),
    }
    if (options.validatorKeyFile === undefined) return { genesis, networkKey, tls }
    const password =
      options.validatorPasswordFile === undefined ? '' : text(options.validatorPasswordFile).trim()
    const opened = openKeyFile(JSON.parse(text(options.validatorKeyFile)), password)
    if (!opened.ok) return fault(opened.error.code, `${options.validatorKeyFile} does not open`)
    const secret = opened.value['bls']
    if (secret === undefined)
      return fault('KeysIncomplete', 'the validator key file has no bls key')
    const { publicKey: blsKey, sign } = blsSigner(secret)
    return { genesis, networkKey, tls, validator: { blsKey, sign } }
  } catch (error) {
    return fault('FileUnreadable', (error as Error).message)
  }
}

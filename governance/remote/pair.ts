/** `millrace signer pair`: the two certificates of a signer and its member, each pinned by the other, of an authority whose key is thrown away. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import {
  certificateFingerprint,
  createAuthority,
  issueCertificate,
} from '../../node/adapters/certificates/index.ts'
import { writeNew } from '../recover/files.ts'

const VALID_DAYS = 3_650

export interface Pair {
  readonly signer: string
  readonly member: string
}

/** Writes `signer/` and `member/` under `directory`, and gives the fingerprints. A file that is there already is not overwritten. */
export async function makePair(directory: string, nowMs: number): Promise<Pair> {
  const options = { nowMs, validDays: VALID_DAYS }
  const authority = await createAuthority({ ...options, name: 'millrace-signer-pair' })
  const make = async (name: 'signer' | 'member') => {
    const at = join(directory, name)
    await mkdir(at, { recursive: true, mode: 0o700 })
    const issued = await issueCertificate(authority, { ...options, name: `millrace-${name}` })
    await writeNew(join(at, 'authority.pem'), authority.certificatePem)
    await writeNew(join(at, 'certificate.pem'), issued.certificatePem)
    await writeNew(join(at, 'private-key.pem'), issued.privateKeyPem)
    return certificateFingerprint(issued.certificatePem)
  }
  return { signer: await make('signer'), member: await make('member') }
}

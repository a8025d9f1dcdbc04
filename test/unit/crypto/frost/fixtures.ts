/** Keys made by our own DKG from a seed, for tests that need some. */
import {
  beginDkg,
  type DkgPackage,
  type DkgSecret,
  type DkgSession,
  dkgGroupKey,
  dkgKeyShare,
  encryptShares,
  type GroupKey,
  type KeyShare,
  openShare,
  type Random,
  sha256,
  uint32be,
} from '../../../../crypto/index.ts'

/** The same bytes for the same name. */
export function seeded(name: string): Random {
  let count = 0
  return (length) => {
    const blocks = Array.from({ length: Math.ceil(length / 32) }, () => {
      count += 1
      return sha256(Buffer.from(name), uint32be(count))
    })
    return new Uint8Array(Buffer.concat(blocks).subarray(0, length))
  }
}

export interface Ceremony {
  readonly session: DkgSession
  readonly secrets: ReadonlyMap<number, DkgSecret>
  readonly packages: Map<number, DkgPackage>
  /** By sender, then recipient. */
  readonly ciphertexts: Map<number, Map<number, Uint8Array>>
}

export function ceremony(name: string, threshold: number, signers: readonly number[]): Ceremony {
  const session = { id: sha256(Buffer.from(name)), threshold, signers }
  const secrets = new Map<number, DkgSecret>()
  const packages = new Map<number, DkgPackage>()
  for (const signer of signers) {
    const { secret, told } = beginDkg(session, signer, seeded(`${name} ${signer}`))
    secrets.set(signer, secret)
    packages.set(signer, told)
  }
  const ciphertexts = new Map(
    signers.map((signer) => {
      return [signer, new Map(encryptShares(session, secrets.get(signer) as DkgSecret, packages))]
    }),
  )
  return { session, secrets, packages, ciphertexts }
}

export function keyOf(made: Ceremony): {
  readonly group: GroupKey
  readonly shares: readonly KeyShare[]
} {
  const { session, secrets, packages, ciphertexts } = made
  const group = dkgGroupKey(session, packages)
  const shares = session.signers.map((signer) => {
    const secret = secrets.get(signer) as DkgSecret
    const opened = new Map<number, Uint8Array>()
    for (const sender of session.signers) {
      if (sender === signer) continue
      const ciphertext = ciphertexts.get(sender)?.get(signer) as Uint8Array
      const share = openShare(session, secret, packages, sender, ciphertext)
      if (share === undefined) throw new Error(`${sender} gave ${signer} no share`)
      opened.set(sender, share)
    }
    return dkgKeyShare(session, secret, packages, opened)
  })
  return { group, shares }
}

import {
  aggregateShares,
  type DkgPackage,
  type DkgSecret,
  type DkgSession,
  dkgGroupKey,
  dkgKeyShare,
  dkgPackageFault,
  type GroupKey,
  groupKeyFrom,
  hexBytes,
  isShareOf,
  isSignatureShare,
  type NonceCommitment,
  schnorrPublicKey,
  signShare,
  sumForRepair,
  toHex,
} from '../../../crypto/index.ts'
import { describeVectors } from '../vectors.ts'

interface SigningVectors {
  readonly config: { readonly MIN_PARTICIPANTS: string }
  readonly inputs: {
    readonly participant_list: readonly number[]
    readonly group_secret_key: string
    readonly verifying_key_key: string
    readonly message: string
    readonly share_polynomial_coefficients: readonly string[]
    readonly participant_shares: readonly {
      readonly identifier: number
      readonly participant_share: string
    }[]
  }
  readonly round_one_outputs: {
    readonly outputs: readonly {
      readonly identifier: number
      readonly hiding_nonce: string
      readonly binding_nonce: string
      readonly hiding_nonce_commitment: string
      readonly binding_nonce_commitment: string
    }[]
  }
  readonly round_two_outputs: {
    readonly outputs: readonly { readonly identifier: number; readonly sig_share: string }[]
  }
  readonly final_output: { readonly sig: string }
}

/** The point of a scalar, even y first unless it is told otherwise. */
const pointOf = (secret: string): Uint8Array => {
  const x = schnorrPublicKey(hexBytes(secret))
  return Uint8Array.of(2, ...x)
}

describeVectors(
  'ZF FROST, secp256k1 for taproot',
  [
    'zf-frost/frost-secp256k1-tr/vectors.json',
    'zf-frost/frost-secp256k1-tr/vectors_dkg.json',
    'zf-frost/frost-secp256k1-tr/repair-share.json',
  ],
  (files) => {
    const [signing, dkg, repair] = files.map((text) => JSON.parse(text ?? ''))

    it('RFC 9591: signature shares and the signature', () => {
      const { config, inputs, round_one_outputs, round_two_outputs, final_output } =
        signing as SigningVectors
      const verifyingShares = new Map(
        inputs.participant_shares.map(({ identifier, participant_share }) => {
          const x = pointOf(participant_share)
          return [identifier, x] as const
        }),
      )
      const first = hexBytes(inputs.verifying_key_key)
      const candidates = [2, 3].map((parity) => {
        const second = pointOf(inputs.share_polynomial_coefficients[0] as string)
        second[0] = parity
        return groupKeyFrom([first, second], [1, 2, 3])
      })
      const shares = inputs.participant_shares.map(({ identifier, participant_share }) => ({
        signer: identifier,
        secret: hexBytes(participant_share),
      }))
      const group = candidates.find((one) =>
        shares.every((share) => isShareOf(one, share)),
      ) as GroupKey
      expect(group.threshold).toBe(Number(config.MIN_PARTICIPANTS))
      for (const [signer, point] of group.verifyingShares) {
        expect(toHex(point.slice(1))).toBe(
          toHex((verifyingShares.get(signer) as Uint8Array).slice(1)),
        )
      }
      const commitments = round_one_outputs.outputs.map(
        (one): NonceCommitment => ({
          signer: one.identifier,
          hiding: hexBytes(one.hiding_nonce_commitment),
          binding: hexBytes(one.binding_nonce_commitment),
        }),
      )
      const message = hexBytes(inputs.message)
      const signed = new Map<number, Uint8Array>()
      for (const { identifier, hiding_nonce, binding_nonce } of round_one_outputs.outputs) {
        const share = shares.find(({ signer }) => signer === identifier) as (typeof shares)[number]
        const nonces = { hiding: hexBytes(hiding_nonce), binding: hexBytes(binding_nonce) }
        const made = signShare(group, share, nonces, commitments, message)
        if (!made.ok) throw new Error(made.fault.code)
        expect(isSignatureShare(group, commitments, message, identifier, made.share)).toBe(true)
        signed.set(identifier, made.share)
      }
      expect(
        [...signed].map(([identifier, share]) => ({ identifier, sig_share: toHex(share) })),
      ).toEqual(round_two_outputs.outputs)
      const whole = aggregateShares(group, commitments, message, signed)
      expect(whole.ok && toHex(whole.signature)).toBe(final_output.sig)
    })

    it('DKG: proofs, shares, the key and every signer’s share of it', () => {
      const { config, inputs } = dkg
      const signers = [1, 2, 3]
      const session: DkgSession = {
        id: new Uint8Array(32),
        threshold: config.MIN_PARTICIPANTS,
        signers,
      }
      const packages = new Map<number, DkgPackage>()
      const secrets = new Map<number, DkgSecret>()
      for (const signer of signers) {
        const given = inputs[signer]
        packages.set(signer, {
          commitments: given.vss_commitments.map(hexBytes),
          proof: hexBytes(given.proof_of_knowledge),
          encryptionKey: hexBytes(given.vss_commitments[0]),
        })
        const coefficients = [given.signing_key, given.coefficient].map((hex) => BigInt(`0x${hex}`))
        secrets.set(signer, { signer, coefficients, decryptionKey: hexBytes(given.signing_key) })
      }
      for (const signer of signers) {
        expect(dkgPackageFault(session, signer, packages.get(signer) as DkgPackage)).toBeUndefined()
      }
      const group = dkgGroupKey(session, packages)
      expect(toHex(group.commitments[0] as Uint8Array)).toBe(inputs.verifying_key)
      for (const signer of signers) {
        const given = inputs[signer]
        const others = signers.filter((other) => other !== signer)
        // What they list under a signer is what the others sent to it.
        const shares = new Map(others.map((from) => [from, hexBytes(given.signing_shares[from])]))
        const share = dkgKeyShare(session, secrets.get(signer) as DkgSecret, packages, shares)
        expect(toHex(share.secret)).toBe(given.signing_share)
        expect(toHex(group.verifyingShares.get(signer) as Uint8Array)).toBe(given.verifying_share)
        expect(isShareOf(group, share)).toBe(true)
      }
    })

    it('share repair: sums of summands', () => {
      const { scalar_generation: scalars, sigma_generation: sigmas } = repair
      const drawn = [1, 2, 3].map((at) => hexBytes(scalars[`random_scalar_${at}`]))
      expect(toHex(sumForRepair(drawn) as Uint8Array)).toBe(scalars.random_scalar_sum)
      const told = [1, 2, 3, 4].map((at) => hexBytes(sigmas[`sigma_${at}`]))
      expect(toHex(sumForRepair(told) as Uint8Array)).toBe(sigmas.sigma_sum)
    })
  },
)

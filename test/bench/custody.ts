/**
 * What a federation's key costs, by its size: to make it, to sign with it, and on Bitcoin; beside leaf A of the same output, which t of
 * the members open with keys of their own. One thread, processor time.
 */
import { federationOutput, inputWeight, memberLeaf, type SpendTweak } from '../../core/peg/index.ts'
import {
  joinAllParts,
  listFault,
  makeOffer,
  type NonceOffer,
  offerFault,
  type SignedParts,
  type SigningMember,
  type SigningTask,
  signMyParts,
} from '../../core/signing/index.ts'
import {
  beginDkg,
  concatBytes,
  type DkgSession,
  dkgGroupKey,
  dkgKeyShare,
  dkgPackageFault,
  encryptShares,
  hexBytes,
  type KeyShare,
  openShare,
  schnorrPublicKey,
  sha256,
} from '../../crypto/index.ts'
import { createFederation } from '../sim/federation.ts'
import type { Figure } from './figures.ts'

/** Members; the threshold follows: 3 of 4, 11 of 15, 34 of 50. */
const SIZES = [4, 15, 50]
/** Satoshi per virtual byte at which bytes become money. */
const FEE_RATE = 10
const WITNESS_SCALE = 4
/** Of secp256k1. */
const GROUP_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n

export function custody(tell: (line: string) => void): readonly Figure[] {
  return SIZES.flatMap((members) => {
    const { genesis } = createFederation(4, members)
    const name = `${genesis.memberThreshold}_of_${members}`
    tell(`a key of ${name}`)
    return [...costs(members, genesis.memberThreshold, name), ...bytes(genesis, name)]
  })
}

function bytes(genesis: Parameters<typeof inputWeight>[0], name: string): readonly Figure[] {
  const byKey = inputWeight(genesis, 1) / WITNESS_SCALE
  const byLeaf = inputWeight(genesis, 0) / WITNESS_SCALE
  const output = federationOutput(genesis, { epoch: 0 } satisfies SpendTweak & { epoch: 0 })
  const leaf = `leaf A has ${memberLeaf(genesis).length} bytes, its control block ${output.controlBlockA.length}`
  return [
    {
      metric: `input_size_${name}`,
      unit: 'vB',
      better: 'lower',
      ours: byKey,
      peers: { leafA: byLeaf },
      note: leaf,
    },
    {
      metric: `input_fee_${name}`,
      unit: 'sat',
      better: 'lower',
      ours: byKey * FEE_RATE,
      peers: { leafA: byLeaf * FEE_RATE },
      note: `at ${FEE_RATE} sat/vB`,
    },
  ]
}

/** Milliseconds of this thread. */
function timed<T>(work: () => T): { readonly made: T; readonly ms: number } {
  const before = process.cpuUsage()
  const made = work()
  const { user, system } = process.cpuUsage(before)
  return { made, ms: (user + system) / 1_000 }
}

function costs(members: number, threshold: number, name: string): readonly Figure[] {
  let drawn = 0
  const random = (length: number) => {
    drawn += 1
    const half = (name: string) => sha256(new TextEncoder().encode(`bench ${drawn} ${name}`))
    return concatBytes(half('first'), half('second')).slice(0, length)
  }
  const signers = Array.from({ length: members }, (_, at) => at + 1)
  const session: DkgSession = { id: random(32), threshold, signers }
  const begun = new Map(signers.map((signer) => [signer, beginDkg(session, signer, random)]))
  const packages = new Map([...begun].map(([signer, { told }]) => [signer, told]))
  const secretOf = (signer: number) => (begun.get(signer) as ReturnType<typeof beginDkg>).secret
  const boxes = new Map(
    signers.map((signer) => [signer, encryptShares(session, secretOf(signer), packages)]),
  )
  /** As it comes out for a signer, of what it is sent; the check of that is measured once. */
  const shareOf = (signer: number, isChecked: boolean): KeyShare => {
    const opened = new Map(
      signers
        .filter((sender) => sender !== signer)
        .map((sender) => {
          const box = boxes.get(sender)?.get(signer) as Uint8Array
          const share = isChecked
            ? openShare(session, secretOf(signer), packages, sender, box)
            : valueAt(secretOf(sender).coefficients, signer)
          if (share === undefined) throw new Error(`no share of ${sender}`)
          return [sender, share] as const
        }),
    )
    return dkgKeyShare(session, secretOf(signer), packages, opened)
  }
  // All that one member does, from its own package to its share.
  const making = timed(() => {
    beginDkg(session, 1, random)
    for (const [signer, told] of packages) {
      if (signer !== 1 && dkgPackageFault(session, signer, told)) throw new Error('a bad package')
    }
    encryptShares(session, secretOf(1), packages)
    shareOf(1, true)
    return dkgGroupKey(session, packages)
  })
  const group = making.made
  const secrets = signers.map((signer) => sha256(new TextEncoder().encode(`member ${signer}`)))
  const task = (path: 'key' | 'leaf'): SigningTask => {
    const digest = random(32)
    return {
      genesisHash: random(32),
      batchId: random(32),
      version: 0,
      attempt: 0,
      threshold,
      members: secrets.map(schnorrPublicKey),
      inputs: [path === 'key' ? { path, digest, epoch: 1, group, steps: [] } : { path, digest }],
    }
  }
  const quorum: SigningMember[] = signers.slice(0, threshold).map((signer) => ({
    index: signer - 1,
    secretKey: secrets[signer - 1] as Uint8Array,
    shares: new Map([[1, shareOf(signer, false)]]),
  }))
  const byKey = signing(task('key'), quorum, random)
  const byLeaf = signing(task('leaf'), quorum, random)
  const figure = (metric: string, ours: number, leafA: number, note: string): Figure => {
    return {
      metric: `${metric}_${name}`,
      unit: 'ms',
      better: 'lower',
      ours,
      peers: { leafA },
      note,
    }
  }
  return [
    {
      metric: `dkg_member_${name}`,
      unit: 'ms',
      better: 'lower',
      ours: making.ms,
      note: 'one member, from its package to its share, all packages and shares checked',
    },
    figure('sign_member', byKey.member, byLeaf.member, 'one member, one input: offer and part'),
    figure(
      'sign_coordinator',
      byKey.coordinator,
      byLeaf.coordinator,
      'one input: t offers and t parts checked, one signature made',
    ),
  ]
}

/** Of a polynomial, 32 bytes. */
function valueAt(coefficients: readonly bigint[], at: number): Uint8Array {
  const value = coefficients.reduceRight((sum, one) => (sum * BigInt(at) + one) % GROUP_ORDER, 0n)
  return hexBytes(value.toString(16).padStart(64, '0'))
}

/** One input signed by a quorum: what the first member and the coordinator spent. */
function signing(
  task: SigningTask,
  quorum: readonly SigningMember[],
  random: (length: number) => Uint8Array,
): { readonly member: number; readonly coordinator: number } {
  const made = quorum.map((member) => timed(() => makeOffer(task, member, 0, random)))
  const offers = made.map(({ made: one }) => one as NonNullable<typeof one>)
  const list: readonly NonceOffer[] = offers.map(({ offer }) => offer)
  const parts = quorum.map((member, at) =>
    timed(() => {
      if (listFault(task, list) !== undefined) throw new Error('a bad list')
      return signMyParts(task, member, offers[at]?.nonces ?? [], list, random) as SignedParts
    }),
  )
  const joined = timed(() => {
    for (const offer of list) if (offerFault(task, offer)) throw new Error('a bad offer')
    return joinAllParts(
      task,
      list,
      parts.map(({ made: one }) => one),
    )
  })
  if (!joined.made.every(({ ok }) => ok)) throw new Error('not signed')
  return { member: (made[0]?.ms ?? 0) + (parts[0]?.ms ?? 0), coordinator: joined.ms }
}

import { Transaction } from 'bitcoinjs-lib'
import {
  batchToSign,
  completeTransaction,
  inputDigest,
  isLeafEarly,
  signingTask,
  type UnsignedBatch,
} from '../../../bridge/index.ts'
import { parseTransaction, serializeTransaction } from '../../../core/bitcoin/index.ts'
import { heightKey } from '../../../core/ledger/index.ts'
import type { Genesis } from '../../../core/params/index.ts'
import {
  type FederationKeys,
  federationOutput,
  memberLeaf,
  NO_KEYS,
  type SpendTweak,
} from '../../../core/peg/index.ts'
import {
  compareBytes,
  groupPublicKey,
  type KeyShare,
  schnorrPublicKey,
  toHex,
} from '../../../crypto/index.ts'
import { verifyInput } from '../../../devnet/bitcoin/script.ts'
import { signTogether, TestSigner } from '../core/signing/together.ts'
import { ceremony, keyOf } from '../crypto/frost/fixtures.ts'
import { schnorrSecrets, worldWithBatch } from './world.ts'

const { world, batchId, spend } = worldWithBatch()
const { genesis, ledger } = world
const batch = batchToSign(ledger, spend) as UnsignedBatch
const ATTEMPT = { batchId, version: 0, attempt: 0 }
const EPOCH = 1
const made = keyOf(ceremony('reserve', 3, [1, 2, 3, 4]))
/** A ledger's keys, of which epoch 1 has one. */
const KEYS: FederationKeys = new Map([
  [
    toHex(heightKey(EPOCH)),
    {
      key: heightKey(EPOCH),
      row: {
        publicKey: groupPublicKey(made.group),
        commitments: [...made.group.commitments],
        signers: [1, 2, 3, 4],
        sessionId: new Uint8Array(32),
        bitcoinHeight: 0,
        height: 1,
      },
    },
  ],
])

function signed(
  of: UnsignedBatch,
  keys: FederationKeys,
  members: readonly number[],
  attempt = ATTEMPT.attempt,
): Uint8Array {
  const task = signingTask(genesis, keys, { ...ATTEMPT, attempt }, of)
  const signers = members.map((index) => {
    const shares = new Map([[EPOCH, made.shares[index] as KeyShare]])
    return new TestSigner(index, schnorrSecrets[index] as Uint8Array, shares)
  })
  return completeTransaction(genesis, keys, of, task, members, signTogether(task, signers))
}

/** The same transaction, spending outputs of these kinds. */
function spending(tweaks: readonly SpendTweak[]): UnsignedBatch {
  const inputs = batch.inputs.map((input, index) => {
    const tweak = tweaks[index % tweaks.length] as SpendTweak
    return { ...input, tweak, scriptPubKey: federationOutput(genesis, tweak, KEYS).scriptPubKey }
  })
  return { ...batch, inputs }
}

function witnessesOf(raw: Uint8Array) {
  const parsed = parseTransaction(raw)
  if (!parsed.ok) throw new Error(parsed.error.reason)
  return parsed.value.inputs.map(({ witness }) => witness)
}

function acceptedBy({ inputs }: UnsignedBatch, raw: Uint8Array): readonly unknown[] {
  const transaction = Transaction.fromBuffer(raw)
  const spent = inputs.map(({ amountSat, scriptPubKey }) => ({
    valueSat: amountSat,
    script: scriptPubKey,
  }))
  return transaction.ins.map((_, index) => verifyInput(transaction, index, spent, true))
}

const OWN: SpendTweak = {
  epoch: EPOCH,
  deposit: { evmAddress: new Uint8Array(20).fill(7), refundScript: new Uint8Array(0) },
}

describe('a transaction of the reserve', () => {
  it('has several inputs in this test, of which each has digests of its own', () => {
    expect(batch.inputs.length).toBeGreaterThan(1)
    const leaf = memberLeaf(genesis)
    const digests = batch.inputs.flatMap((_, index) => [
      toHex(inputDigest(batch, index)),
      toHex(inputDigest(batch, index, leaf)),
    ])
    expect(new Set(digests).size).toBe(digests.length)
  })

  it.each([[[0, 1, 2]], [[0, 1, 3]], [[0, 2, 3]], [[1, 2, 3]]])(
    'through leaf A is accepted with policy rules when members %p sign',
    (members) => {
      const raw = signed(batch, NO_KEYS, members)
      expect(acceptedBy(batch, raw)).toEqual(batch.inputs.map(() => undefined))
    },
  )

  it.each([[[0, 1, 2]], [[0, 1, 3]], [[0, 2, 3]], [[1, 2, 3]]])(
    'by the key is accepted when members %p sign, with one signature of 64 bytes per input (5.3, 5.4)',
    (members) => {
      const byKey = spending([{ epoch: EPOCH }, OWN])
      const raw = signed(byKey, KEYS, members)
      expect(acceptedBy(byKey, raw)).toEqual(byKey.inputs.map(() => undefined))
      for (const witness of witnessesOf(raw)) {
        expect(witness.map(({ length }) => length)).toEqual([64])
      }
    },
  )

  it('after sixteen attempts goes by leaf A, which needs no share of the key; then by the key again (5.3)', () => {
    // Member 3 was left out when the key was made, and member 2 is silent.
    const [[name, entry] = []] = KEYS
    if (name === undefined || entry === undefined) throw new Error('no key')
    const fewer = new Map([[name, { ...entry, row: { ...entry.row, signers: [1, 2, 3] } }]])
    const byKey = spending([{ epoch: EPOCH }, OWN])
    const pathsAt = (attempt: number) =>
      signingTask(genesis, fewer, { ...ATTEMPT, attempt }, byKey).inputs.map(({ path }) => path)
    const all = (path: string) => byKey.inputs.map(() => path)
    for (const attempt of [0, 15, 32, 47]) expect(pathsAt(attempt)).toEqual(all('key'))
    for (const attempt of [16, 31, 48]) expect(pathsAt(attempt)).toEqual(all('leaf'))
    expect(() => signed(byKey, fewer, [0, 1, 3])).toThrow('cannot sign')
    const raw = signed(byKey, fewer, [0, 1, 3], 16)
    expect(acceptedBy(byKey, raw)).toEqual(byKey.inputs.map(() => undefined))
  })

  it('with more inputs than Bitcoin relays by leaf A goes by the key at every attempt (BIP431)', () => {
    const fifteen = Array.from({ length: 15 }, (_, index) => ({
      ...(genesis.members[0] as Genesis['members'][number]),
      schnorrKey: schnorrPublicKey(new Uint8Array(32).fill(index + 1)),
    }))
    const large = { ...genesis, members: fifteen, memberThreshold: 11 }
    const pathsOf = (count: number) => {
      const [input] = spending([{ epoch: EPOCH }]).inputs
      const parsed = parseTransaction(batch.transaction)
      const [spent] = parsed.ok ? parsed.value.inputs : []
      if (!parsed.ok || input === undefined || spent === undefined) throw new Error('no input')
      const inputs = Array.from({ length: count }, (_, vout) => ({ ...spent, vout }))
      const transaction = serializeTransaction({ ...parsed.value, inputs })
      const many = { transaction, inputs: inputs.map(() => input) }
      const task = signingTask(large, KEYS, { ...ATTEMPT, attempt: 16 }, many)
      return new Set(task.inputs.map(({ path }) => path))
    }
    // 366.25 vB an input, and 10.5 + 3 outputs of 31 to 43.
    expect([...pathsOf(26)]).toEqual(['leaf'])
    expect([...pathsOf(28)]).toEqual(['key'])
  })

  it('takes leaf A early for nobody: not before the sixteenth round, less two for clocks (5.3, 5.5)', () => {
    const byKey = spending([{ epoch: EPOCH }, OWN])
    const earlyAt = (attempt: number, seconds: number, of = byKey) => {
      return isLeafEarly(attempt, of, 1_000, (1_000 + seconds) * 1_000)
    }
    expect([0, 209, 210].map((seconds) => earlyAt(16, seconds))).toEqual([true, true, false])
    expect(earlyAt(48, 600)).toBe(true)
    // By the key, or where there is only the leaf, numbers are free; a clock that is behind counts from nothing.
    expect([earlyAt(15, -9), earlyAt(32, -9), earlyAt(16, -9, batch)]).toEqual([
      false,
      false,
      false,
    ])
    expect(earlyAt(16, -9)).toBe(true)
  })

  it('may spend outputs of both kinds', () => {
    const mixed = spending([{ ...OWN, epoch: 0 }, { epoch: EPOCH }])
    const raw = signed(mixed, KEYS, [0, 2, 3])
    expect(acceptedBy(mixed, raw)).toEqual(mixed.inputs.map(() => undefined))
    expect(witnessesOf(raw).map(({ length }) => length)).toEqual([6, 1])
  })

  it('through leaf A carries exactly t signatures, empty items for the other keys, and the last key first (5.3)', () => {
    const order = [...genesis.members.keys()].sort((left, right) =>
      compareBytes(
        genesis.members[right]?.schnorrKey as Uint8Array,
        genesis.members[left]?.schnorrKey as Uint8Array,
      ),
    )
    for (const witness of witnessesOf(signed(batch, NO_KEYS, [0, 1, 2]))) {
      expect(witness).toHaveLength(genesis.members.length + 2)
      const sizes = witness.slice(0, -2).map((item) => item.length)
      expect(sizes).toEqual(order.map((member) => (member === 3 ? 0 : 64)))
    }
  })

  it('is refused by Bitcoin when a signature belongs to another input', () => {
    const byKey = spending([{ epoch: EPOCH }, OWN])
    const signers = [0, 1, 2].map((index) => {
      const shares = new Map([[EPOCH, made.shares[index] as KeyShare]])
      return new TestSigner(index, schnorrSecrets[index] as Uint8Array, shares)
    })
    for (const [of, keys] of [
      [batch, NO_KEYS],
      [byKey, KEYS],
    ] as const) {
      const task = signingTask(genesis, keys, ATTEMPT, of)
      const signatures = [...signTogether(task, signers)].reverse()
      const raw = completeTransaction(genesis, keys, of, task, [0, 1, 2], signatures)
      expect(acceptedBy(of, raw).some((fault) => fault !== undefined)).toBe(true)
    }
  })
})

import { Transaction } from 'bitcoinjs-lib'
import {
  assembleTransaction,
  batchToSign,
  leafSighash,
  signatureFault,
  signBatch,
  type UnsignedBatch,
  verifyBatchSignature,
  verifyBatchSignatures,
} from '../../../bridge/index.ts'
import { parseTransaction } from '../../../core/bitcoin/index.ts'
import { NO_KEYS } from '../../../core/peg/index.ts'
import { compareBytes, toHex } from '../../../crypto/index.ts'
import { verifyInput } from '../../../devnet/bitcoin/script.ts'
import { schnorrSecrets, worldWithBatch } from './world.ts'

const { world, spend, tweaks } = worldWithBatch()
const { genesis, ledger } = world
const batch = batchToSign(genesis, ledger, spend) as UnsignedBatch
const auxiliary = new Uint8Array(32).fill(7)
const signaturesOf = (index: number) =>
  signBatch(schnorrSecrets[index] as Uint8Array, batch, auxiliary)

function assembled(members: readonly number[]) {
  const signatures = new Map(members.map((index) => [index, signaturesOf(index)]))
  return assembleTransaction(genesis, spend.transaction, tweaks, signatures, NO_KEYS)
}

function acceptedBy(raw: Uint8Array): readonly unknown[] {
  const transaction = Transaction.fromBuffer(raw)
  const spent = batch.prevouts.map(({ amountSat, scriptPubKey }) => ({
    valueSat: amountSat,
    script: scriptPubKey,
  }))
  return transaction.ins.map((_, index) => verifyInput(transaction, index, spent, true))
}

describe('a transaction of the reserve, signed through leaf A', () => {
  it('has several inputs in this test, of which each has a digest of its own', () => {
    expect(batch.prevouts.length).toBeGreaterThan(1)
    const digests = batch.prevouts.map((_, index) =>
      toHex(leafSighash(batch.transaction, batch.prevouts, index, batch.leafScript)),
    )
    expect(new Set(digests).size).toBe(digests.length)
  })

  it.each([[[0, 1, 2]], [[0, 1, 3]], [[0, 2, 3]], [[1, 2, 3]]])(
    'is accepted with policy rules when members %p sign',
    (members) => {
      const raw = assembled(members)
      if (!raw.ok) throw new Error(raw.error.code)
      expect(acceptedBy(raw.value)).toEqual(batch.prevouts.map(() => undefined))
    },
  )

  it('carries exactly t signatures, empty items for the other keys, and the last key first (5.3)', () => {
    const raw = assembled([0, 1, 2])
    if (!raw.ok) throw new Error(raw.error.code)
    const parsed = parseTransaction(raw.value)
    if (!parsed.ok) throw new Error(parsed.error.reason)
    const order = [...genesis.members.keys()].sort((left, right) =>
      compareBytes(
        genesis.members[right]?.schnorrKey as Uint8Array,
        genesis.members[left]?.schnorrKey as Uint8Array,
      ),
    )
    for (const { witness } of parsed.value.inputs) {
      expect(witness).toHaveLength(genesis.members.length + 2)
      const sizes = witness.slice(0, -2).map((item) => item.length)
      expect(sizes).toEqual(order.map((member) => (member === 3 ? 0 : 64)))
    }
  })

  it('is the same bytes on every node: of more than t answers the lowest members count', () => {
    const three = assembled([0, 1, 2])
    const four = assembled([3, 2, 1, 0])
    expect(four).toEqual(three)
  })

  it('is not assembled from fewer than t members', () => {
    expect(assembled([0, 3])).toEqual({
      ok: false,
      error: { code: 'TooFewSignatures', have: 2, need: 3 },
    })
  })

  it('is refused by Bitcoin when a signature belongs to another input', () => {
    const swapped = new Map(
      [0, 1, 2].map((index) => [index, [...signaturesOf(index)].reverse()] as const),
    )
    const raw = assembleTransaction(genesis, spend.transaction, tweaks, swapped, NO_KEYS)
    if (!raw.ok) throw new Error(raw.error.code)
    expect(acceptedBy(raw.value).some((fault) => fault !== undefined)).toBe(true)
  })
})

describe("a member's answer, checked on arrival (PO-12)", () => {
  const key = genesis.members[1]?.schnorrKey as Uint8Array

  it('is good with one signature per input by that member', () => {
    expect(verifyBatchSignatures(key, batch, signaturesOf(1))).toBe(true)
    expect(signatureFault(genesis, ledger, spend, 1, signaturesOf(1))).toBeUndefined()
  })

  it("names another member's signatures, missing ones and strangers", () => {
    expect(signatureFault(genesis, ledger, spend, 2, signaturesOf(1))).toBe('SignatureWrong')
    expect(signatureFault(genesis, ledger, spend, 1, signaturesOf(1).slice(1))).toBe(
      'SignatureCountWrong',
    )
    expect(signatureFault(genesis, ledger, spend, 9, signaturesOf(1))).toBe('MemberUnknown')
  })

  it('never throws on garbage', () => {
    for (const signature of [new Uint8Array(0), new Uint8Array(64), new Uint8Array(64).fill(255)]) {
      expect(verifyBatchSignature(key, batch, 0, signature)).toBe(false)
    }
    expect(verifyBatchSignature(key, batch, 99, signaturesOf(1)[0] as Uint8Array)).toBe(false)
  })
})

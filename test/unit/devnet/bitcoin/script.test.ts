import type { Transaction } from 'bitcoinjs-lib'
import * as fc from 'fast-check'
import { type ScriptFault, tapLeafHash, verifyInput } from '../../../../devnet/bitcoin/script.ts'
import {
  type Coin,
  concat,
  keyHashScript,
  keyPathScript,
  leafOutput,
  leafSignature,
  secretKey,
  signKeyHash,
  signKeyPath,
  thresholdLeaf,
  unsigned,
  xOnly,
} from './wallet.ts'

const OWNER = secretKey(5)
const NUMS = xOnly(secretKey(99))
const UNSUPPORTED = /^Not supported by the Millrace development regtest/

const coinOf = (script: Uint8Array): Coin => ({
  txid: 'ab'.repeat(32),
  vout: 1,
  amountSat: 70_000n,
  script,
})

const check = (tx: Transaction, coin: Coin, policy = true): ScriptFault | undefined =>
  verifyInput(tx, 0, [{ valueSat: coin.amountSat, script: coin.script }], policy)

/** Spends an output of one leaf with a stack that may sign. */
function spendLeaf(
  leaf: Uint8Array,
  stack: (tx: Transaction, coin: Coin) => readonly Uint8Array[],
  options: { locktime?: number; sequence?: number; version?: number; policy?: boolean } = {},
): string {
  const output = leafOutput(NUMS, leaf)
  const coin = coinOf(output.script)
  const tx = unsigned([coin], [{ script: keyHashScript(OWNER), amountSat: 60_000n }], options)
  tx.setWitness(0, [...stack(tx, coin), leaf, output.control])
  return check(tx, coin, options.policy)?.message ?? 'ok'
}

const op = (...bytes: number[]) => Uint8Array.from(bytes)
const none = () => []

describe('script checks', () => {
  it('accepts p2wpkh and taproot key path spends and refuses any changed byte of the transaction', () => {
    for (const script of [keyHashScript(OWNER), keyPathScript(OWNER)]) {
      const coin = coinOf(script)
      const tx = unsigned([coin], [{ script, amountSat: 60_000n }])
      if (script.length === 22) signKeyHash(tx, 0, coin, OWNER)
      else signKeyPath(tx, 0, [coin], OWNER)
      expect(check(tx, coin)).toBeUndefined()
      for (const change of [
        (body: Transaction) => (body.version ^= 1),
        (body: Transaction) => (body.locktime += 1),
        (body: Transaction) => (body.ins[0]!.index += 1),
        (body: Transaction) => (body.ins[0]!.sequence -= 1),
        (body: Transaction) => (body.outs[0]!.value += 1n),
      ]) {
        const changed = tx.clone()
        change(changed)
        expect(check(changed, coin)).toMatchObject({ policy: false })
      }
      expect(check(tx, { ...coin, amountSat: 70_001n })).toMatchObject({ policy: false })
    }
  })

  it('says by name what it does not support', () => {
    const scripts = ['76a914', 'a914', '0020', '5220'].map((start) =>
      concat(Uint8Array.from(Buffer.from(start, 'hex')), new Uint8Array(32)),
    )
    for (const script of scripts) {
      const coin = coinOf(script)
      const tx = unsigned([coin], [{ script, amountSat: 60_000n }])
      expect(check(tx, coin)?.message).toMatch(UNSUPPORTED)
    }
    for (const opcode of [0x63, 0x76, 0x87, 0xa8, 0xae, 0xab, 0xff]) {
      expect(spendLeaf(op(0x51, opcode), none)).toMatch(UNSUPPORTED)
    }
  })

  it('refuses a malleated p2wpkh witness: high s in policy, loose DER and foreign keys always', () => {
    const coin = coinOf(keyHashScript(OWNER))
    const tx = unsigned([coin], [{ script: coin.script, amountSat: 60_000n }])
    signKeyHash(tx, 0, coin, OWNER)
    const [signature = op(), key = op()] = tx.ins[0]!.witness
    tx.setWitness(0, [highS(signature), key])
    expect(check(tx, coin)).toEqual({
      message: 'Non-canonical signature: S value is unnecessarily high',
      policy: true,
    })
    expect(check(tx, coin, false)).toBeUndefined()
    tx.setWitness(0, [concat(op(0x30, signature[1]! + 1), signature.slice(2, -1), op(0, 1)), key])
    expect(check(tx, coin, false)?.message).toBe('Non-canonical DER signature')
    tx.setWitness(0, [signature, concat(op(2), xOnly(secretKey(6)))])
    expect(check(tx, coin, false)?.message).toBe('Script failed an OP_EQUALVERIFY operation')
    tx.setWitness(0, [op(), key])
    expect(check(tx, coin, false)?.message).toMatch(/false\/empty top stack/)
    tx.setWitness(0, [signature])
    expect(check(tx, coin, false)?.message).toBe('Witness program hash mismatch')
  })

  it('checks the size and hash type of a Schnorr signature', () => {
    const coin = coinOf(keyPathScript(OWNER))
    const tx = unsigned([coin], [{ script: coin.script, amountSat: 60_000n }])
    signKeyPath(tx, 0, [coin], OWNER)
    const [signature = op()] = tx.ins[0]!.witness
    const verdict = (...witness: Uint8Array[]) => {
      tx.setWitness(0, witness)
      return check(tx, coin)?.message
    }
    expect(verdict(signature.slice(1))).toBe('Invalid Schnorr signature size')
    expect(verdict(concat(signature, op(0)))).toBe('Invalid Schnorr signature hash type')
    expect(verdict(concat(signature, op(4)))).toBe('Invalid Schnorr signature hash type')
    expect(verdict(concat(signature, op(1)))).toBe('Invalid Schnorr signature')
    expect(verdict(signature, op(0x50, 1))).toBe('Invalid Schnorr signature')
    expect(verdict()).toBe('Witness program was passed an empty witness')
    expect(verdict(signature)).toBeUndefined()
  })

  it('refuses SIGHASH_SINGLE without an output of the input’s index', () => {
    const coins = [coinOf(keyHashScript(OWNER)), { ...coinOf(keyPathScript(OWNER)), vout: 2 }]
    const tx = unsigned(coins, [{ script: keyHashScript(OWNER), amountSat: 60_000n }])
    tx.setWitness(1, [concat(new Uint8Array(64).fill(1), op(3))])
    const spent = coins.map((coin) => ({ valueSat: coin.amountSat, script: coin.script }))
    expect(verifyInput(tx, 1, spent, true)?.message).toBe('Invalid Schnorr signature hash type')
  })

  it('binds a leaf to its output: control size, internal key, parity, version', () => {
    const leaf = op(0x51)
    const output = leafOutput(NUMS, leaf)
    const coin = coinOf(output.script)
    const tx = unsigned([coin], [{ script: coin.script, amountSat: 60_000n }])
    const verdict = (script: Uint8Array, control: Uint8Array) => {
      tx.setWitness(0, [script, control])
      return check(tx, coin)?.message
    }
    const { control } = output
    expect(verdict(leaf, control)).toBeUndefined()
    expect(verdict(op(0x52), control)).toBe('Witness program hash mismatch')
    expect(verdict(leaf, control.with(0, control[0]! ^ 1))).toBe('Witness program hash mismatch')
    expect(verdict(leaf, control.with(0, 0xc2))).toBe('Witness program hash mismatch')
    expect(verdict(leaf, concat(control, new Uint8Array(32)))).toBe('Witness program hash mismatch')
    expect(verdict(leaf, control.slice(1))).toBe('Invalid Taproot control block size')
    expect(verdict(leaf, op())).toBe('Invalid Taproot control block size')
    const deep = concat(control, new Uint8Array(32 * 129))
    expect(verdict(leaf, deep)).toBe('Invalid Taproot control block size')
    expect(Buffer.from(tapLeafHash(leaf)).equals(tapLeafHash(leaf, 0xc2))).toBe(false)
  })

  it('wants exactly one true item on the stack in the end', () => {
    expect(spendLeaf(op(0x51), none)).toBe('ok')
    expect(spendLeaf(op(0x00), none)).toMatch(/false\/empty top stack/)
    expect(spendLeaf(op(0x51, 0x51), none)).toBe('Stack size must be exactly one after execution')
    expect(spendLeaf(op(), none)).toBe('Stack size must be exactly one after execution')
    expect(spendLeaf(op(), () => [op(0x80)])).toMatch(/false\/empty top stack/)
    expect(spendLeaf(op(), () => [op(0x80, 0)])).toBe('ok')
  })

  it('reads numbers minimally and refuses operations on too short a stack', () => {
    expect(spendLeaf(op(0x53, 0x53, 0x9c), none)).toBe('ok')
    expect(spendLeaf(op(0x53, 0x54, 0x9c), none)).toMatch(/false\/empty top stack/)
    expect(spendLeaf(op(0x53, 0x53, 0x9d, 0x51), none)).toBe('ok')
    expect(spendLeaf(op(0x53, 0x54, 0x9d, 0x51), none)).toMatch(/OP_NUMEQUALVERIFY/)
    expect(spendLeaf(op(0x53, 0x9c), () => [op(3, 0)])).toBe('unknown error')
    for (const opcode of [0x69, 0x75, 0x9c, 0xac, 0xba, 0xb1, 0xb2]) {
      expect(spendLeaf(op(opcode), none)).toBe('Operation not valid with the current stack size')
    }
    expect(spendLeaf(op(0x00, 0x69, 0x51), none)).toMatch(/OP_VERIFY/)
    expect(spendLeaf(op(0x02, 0x51), none)).toBe('Opcode missing or not understood')
    expect(spendLeaf(op(0x01, 0x01), none)).toBe('Data push larger than necessary')
    expect(spendLeaf(op(0x01, 0x01), none, { policy: false })).toBe('ok')
  })

  it('holds an absolute lock to height or time, and not on a final input', () => {
    const leaf = op(0x02, 0x2c, 0x01, 0xb1)
    const at = (locktime: number, sequence = 0xfffffffe) =>
      spendLeaf(leaf, none, { locktime, sequence })
    expect(at(300)).toBe('ok')
    expect(at(299)).toBe('Locktime requirement not satisfied')
    expect(at(500_000_300)).toBe('Locktime requirement not satisfied')
    expect(at(300, 0xffffffff)).toBe('Locktime requirement not satisfied')
    expect(spendLeaf(op(0x4f, 0xb1), none)).toBe('Negative locktime')
  })

  it('holds a relative lock to its kind and length, and lets a disabled one pass', () => {
    const leaf = (...number: number[]) => op(number.length, ...number, 0xb2)
    const at = (script: Uint8Array, sequence: number) => spendLeaf(script, none, { sequence })
    expect(at(leaf(0x2c, 0x01), 300)).toBe('ok')
    expect(at(leaf(0x2c, 0x01), 299)).toBe('Locktime requirement not satisfied')
    expect(at(leaf(0x2c, 0x01), 0x00400000 | 300)).toBe('Locktime requirement not satisfied')
    expect(at(leaf(0x2c, 0x01, 0x40), 0x00400000 | 300)).toBe('ok')
    expect(at(leaf(0x2c, 0x01), 0x80000000)).toBe('Locktime requirement not satisfied')
    expect(at(leaf(0, 0, 0, 0x80, 0), 0xffffffff)).toBe('ok')
  })

  it('takes an empty signature for false, and refuses bad ones and reserved keys', () => {
    const leaf = concat(op(0x20), xOnly(OWNER), op(0xac))
    expect(spendLeaf(leaf, (tx, coin) => [leafSignature(tx, 0, [coin], leaf, OWNER)])).toBe('ok')
    expect(spendLeaf(leaf, () => [op()])).toMatch(/false\/empty top stack/)
    expect(spendLeaf(leaf, () => [op(1)])).toBe('Invalid Schnorr signature size')
    expect(spendLeaf(leaf.with(33, 0xad), () => [op()])).toMatch(/OP_CHECKSIGVERIFY/)
    const reserved = op(0x02, 1, 2, 0xac)
    expect(spendLeaf(reserved, () => [op(1)])).toMatch(/^Public key version reserved/)
    expect(spendLeaf(op(0x00, 0xac), () => [op(1)])).toMatch(/^Public key is neither/)
  })

  it('needs exactly t signatures of a CHECKSIGADD leaf, by whichever members', () => {
    const members = [41, 42, 43].map(secretKey)
    const leaf = thresholdLeaf(members.map(xOnly), 2)
    for (let mask = 0; mask < 8; mask++) {
      const signers = members.map((_, index) => (mask >> index) & 1)
      const verdict = spendLeaf(leaf, (tx, coin) =>
        members
          .map((member, index) =>
            signers[index] === 1 ? leafSignature(tx, 0, [coin], leaf, member) : op(),
          )
          .reverse(),
      )
      const count = signers.filter((signs) => signs === 1).length
      if (count === 2) expect(verdict).toBe('ok')
      else expect(verdict).toMatch(/false\/empty top stack/)
    }
  })

  it('is total: no witness makes it throw', () => {
    const bytes = fc.uint8Array({ maxLength: 80 })
    const scripts = [keyHashScript(OWNER), keyPathScript(OWNER), leafOutput(NUMS, op(0x51)).script]
    fc.assert(
      fc.property(
        fc.constantFrom(...scripts),
        fc.array(bytes, { maxLength: 4 }),
        (script, witness) => {
          const coin = coinOf(script)
          const tx = unsigned([coin], [{ script, amountSat: 60_000n }])
          tx.setWitness(0, witness)
          expect(check(tx, coin)).toBeDefined()
        },
      ),
    )
    fc.assert(
      fc.property(bytes, fc.array(bytes, { maxLength: 4 }), (leaf, stack) => {
        expect(typeof spendLeaf(leaf, () => stack)).toBe('string')
      }),
    )
  })
})

/** The same ECDSA signature with n − s. */
function highS(signature: Uint8Array): Uint8Array {
  const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
  const lengthR = signature[3] ?? 0
  const r = signature.slice(4, 4 + lengthR)
  const s = signature.slice(6 + lengthR, -1)
  const high = (order - BigInt(`0x${Buffer.from(s).toString('hex')}`))
    .toString(16)
    .padStart(64, '0')
  const body = concat(op(2, r.length), r, op(2, 33, 0), Uint8Array.from(Buffer.from(high, 'hex')))
  return concat(op(0x30, body.length), body, signature.slice(-1))
}

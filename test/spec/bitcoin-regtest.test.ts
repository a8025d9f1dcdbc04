/** The development Bitcoin's checks against BIP341's and Bitcoin Core's vectors. */
import { existsSync, readFileSync } from 'node:fs'
import { Transaction } from 'bitcoinjs-lib'
import { verifyInput } from '../../devnet/bitcoin/script.ts'
import { checkTransaction, decodeTx, spentOutpoint } from '../../devnet/bitcoin/transaction.ts'

const vectors = new URL('../../../shared/vectors/', import.meta.url)
const present = existsSync(vectors)
const specified = present ? describe : describe.skip

const load = (path: string) => JSON.parse(readFileSync(new URL(path, vectors), 'utf8'))
const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'))
const concat = (...parts: Uint8Array[]) => Uint8Array.from(Buffer.concat(parts))

interface KeyPathVectors {
  readonly given: {
    readonly rawUnsignedTx: string
    readonly utxosSpent: readonly { scriptPubKey: string; amountSats: number }[]
  }
  readonly inputSpending: readonly {
    readonly given: { readonly txinIndex: number; readonly hashType: number }
    readonly expected: { readonly witness: readonly string[] }
  }[]
  readonly auxiliary: { readonly fullySignedTx: string }
}

specified('BIP341 wallet vectors', () => {
  const [keyPath] = (
    present ? load('bips/bip-0341/wallet-test-vectors.json').keyPathSpending : []
  ) as [KeyPathVectors]

  it('accepts every key path signature, of every hash type, and refuses each with a bit flipped', () => {
    const { given, inputSpending, auxiliary } = keyPath
    const spent = given.utxosSpent.map(({ scriptPubKey, amountSats }) => ({
      script: bytes(scriptPubKey),
      valueSat: BigInt(amountSats),
    }))
    const signed = decodeTx(bytes(auxiliary.fullySignedTx))
    if (signed === undefined) throw new Error('does not decode')
    for (const { given: input, expected } of inputSpending) {
      const index = input.txinIndex
      expect(
        signed.body.ins[index]?.witness.map((item) => Buffer.from(item).toString('hex')),
      ).toEqual(expected.witness)
      expect(verifyInput(signed.body, index, spent, true)).toBeUndefined()
      const forged = signed.body.clone()
      const signature = bytes(expected.witness[0] ?? '')
      forged.setWitness(index, [signature.with(40, (signature[40] ?? 0) ^ 4)])
      expect(verifyInput(forged, index, spent, true)?.message).toBe('Invalid Schnorr signature')
    }
    expect(inputSpending).toHaveLength(7)
  })

  it('binds each signature to the amounts and scripts that its hash type covers', () => {
    const { given, inputSpending, auxiliary } = keyPath
    const { body } = decodeTx(bytes(auxiliary.fullySignedTx)) ?? { body: new Transaction() }
    for (const { given: input } of inputSpending) {
      const anyoneCanPay = (input.hashType & 0x80) !== 0
      const others = given.utxosSpent.map(({ scriptPubKey, amountSats }, index) => ({
        script: bytes(scriptPubKey),
        valueSat: BigInt(amountSats) + (index === input.txinIndex ? 0n : 1n),
      }))
      const fault = verifyInput(body, input.txinIndex, others, true)
      expect(fault === undefined).toBe(anyoneCanPay)
    }
  })
})

/** Rows of `[[[txid, vout, script, amount?] …], raw, flags]`; others are comments. */
type TxRow = readonly [readonly (readonly [string, number, string, number?])[], string, string]

const rows = (path: string): TxRow[] =>
  (load(path) as unknown[][]).filter((row) => Array.isArray(row[0]) && row.length === 3) as never

/** `0 PUSH20 …` scripts of the vectors: the ones that this regtest can spend. */
function keyHashOf(text: string): Uint8Array | undefined {
  const match = /^0x00 0x14 0x([0-9a-f]{40})$/.exec(text)
  return match?.[1] === undefined ? undefined : concat(Uint8Array.of(0, 20), bytes(match[1]))
}

specified('Bitcoin Core transaction vectors', () => {
  const valid = present ? rows('bitcoin-core/tx_valid.json') : []
  const invalid = present ? rows('bitcoin-core/tx_invalid.json') : []

  it('decodes every valid transaction to its own bytes, and finds nothing wrong without context', () => {
    for (const [, raw] of valid) {
      const tx = decodeTx(bytes(raw))
      expect(Buffer.from(tx?.raw ?? []).toString('hex')).toBe(raw)
      expect(tx && checkTransaction(tx)).toBeUndefined()
    }
    expect(valid.length).toBeGreaterThan(100)
  })

  it('refuses every transaction that is bad without context', () => {
    const bad = invalid.filter(([, , flags]) => flags === 'BADTX')
    const verdicts = bad.map(([, raw]) => {
      const tx = decodeTx(bytes(raw))
      return tx === undefined ? 'undecodable' : checkTransaction(tx)
    })
    expect(verdicts.length).toBeGreaterThan(5)
    expect(verdicts).not.toContain(undefined)
  })

  it('agrees with Core on every transaction that spends p2wpkh alone', () => {
    const spendable = (list: TxRow[]) =>
      list.flatMap(([inputs, raw]) => {
        const tx = decodeTx(bytes(raw))
        const outputs = new Map(
          inputs.map(([txid, vout, script, amount = 0]) => [
            `${txid}:${vout >>> 0}`,
            { script: keyHashOf(script), valueSat: BigInt(amount) },
          ]),
        )
        const spent = tx?.body.ins.flatMap((input) => {
          const { script, valueSat } = outputs.get(spentOutpoint(input)) ?? {}
          return script === undefined || valueSat === undefined ? [] : { script, valueSat }
        })
        if (tx === undefined || spent === undefined || spent.length !== tx.body.ins.length)
          return []
        return [tx.body.ins.map((_, index) => verifyInput(tx.body, index, spent, false))]
      })
    const accepted = spendable(valid)
    expect(accepted.flat().filter((fault) => fault !== undefined)).toEqual([])
    expect(accepted).toHaveLength(4)
  })
})

/** Rows of `[[witness …, amount], scriptSig, scriptPubKey, flags, verdict, comment?]`. */
type ScriptRow = readonly [readonly (string | number)[], string, string, string, string, string?]

specified('Bitcoin Core script vectors', () => {
  const all = present ? (load('bitcoin-core/script_tests.json') as unknown[][]) : []
  const spends = all.filter(
    (row) =>
      Array.isArray(row[0]) &&
      /^0 0x14 /.test(String(row[2])) &&
      String(row[3]).includes('WITNESS'),
  ) as never as ScriptRow[]

  it('gives Core’s verdict on every p2wpkh spend', () => {
    const texts: Record<string, RegExp> = {
      EVAL_FALSE: /false\/empty top stack/,
      WITNESS_PROGRAM_MISMATCH: /Witness program hash mismatch/,
      WITNESS_MALLEATED: /Witness requires empty scriptSig/,
      WITNESS_PUBKEYTYPE: /non-compressed keys/,
    }
    for (const [items, scriptSig, scriptPubKey, flags, verdict] of spends) {
      const valueSat = BigInt(Math.round(Number(items.at(-1)) * 1e8))
      const script = concat(Uint8Array.of(0, 20), bytes(scriptPubKey.slice('0 0x14 0x'.length)))
      const tx = spendingTransaction(script, valueSat, scriptSig)
      tx.setWitness(
        0,
        items.slice(0, -1).map((item) => bytes(String(item))),
      )
      const policy = flags.includes('WITNESS_PUBKEYTYPE')
      const fault = verifyInput(tx, 0, [{ script, valueSat }], policy)
      if (verdict === 'OK') expect(fault).toBeUndefined()
      else expect(fault?.message).toMatch(texts[verdict] ?? verdict)
    }
    expect(spends).toHaveLength(8)
  })
})

/** The transaction that Core's script tests sign: it spends the only output of a crediting one. */
function spendingTransaction(script: Uint8Array, valueSat: bigint, scriptSig: string): Transaction {
  const credit = new Transaction()
  credit.addInput(new Uint8Array(32), 0xffffffff, 0xffffffff, Uint8Array.of(0, 0))
  credit.addOutput(script, valueSat)
  const spend = new Transaction()
  const opcodes = scriptSig === '' ? [] : [0x50 + Number(scriptSig)]
  spend.addInput(credit.getHash(false), 0, 0xffffffff, Uint8Array.from(opcodes))
  spend.addOutput(new Uint8Array(), valueSat)
  return spend
}

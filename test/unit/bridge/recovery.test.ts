import { Psbt, Transaction } from 'bitcoinjs-lib'
import {
  combineRecoveries,
  decodeRecovery,
  encodeRecovery,
  finishRecovery,
  leafKeys,
  mostInputs,
  outputOf,
  planRecovery,
  type Recovery,
  type RecoveryLeaf,
  recoveryFeeSat,
  recoverySigners,
  recoveryVsize,
  signRecovery,
  unsignedRecovery,
} from '../../../bridge/index.ts'
import { parseTransaction, transactionWeight } from '../../../core/bitcoin/index.ts'
import type { Genesis, Result } from '../../../core/params/index.ts'
import { schnorrPublicKey, toHex } from '../../../crypto/index.ts'
import { verifyInput } from '../../../devnet/bitcoin/script.ts'
import { addressOf, p2wpkh, seeded, testGenesis } from '../core/peg/world.ts'
import {
  AUXILIARY,
  CSV_BLOCKS,
  epochKey,
  memberSecrets,
  outputs,
  recoveryGenesis,
  recoverySecrets,
  wishOf,
} from './recovery-world.ts'

const genesis = recoveryGenesis()
const secretsOf = { members: memberSecrets, recovery: recoverySecrets } as const

function must<T>(result: Result<T, { readonly code: string }>): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error))
  return result.value
}

const planned = (leaf: RecoveryLeaf, on = genesis) => must(planRecovery(on, wishOf({ leaf })))

/** Each holder gets the plan as a PSBT and gives its own copy back. */
function signedBy(leaf: RecoveryLeaf, holders: readonly number[], on: Genesis = genesis): Recovery {
  const plan = encodeRecovery(on, planned(leaf, on))
  const [first, ...rest] = holders.map((holder) => {
    const secret = secretsOf[leaf][holder] as Uint8Array
    const signed = must(signRecovery(on, must(decodeRecovery(on, plan)), secret, AUXILIARY))
    return must(decodeRecovery(on, encodeRecovery(on, signed)))
  })
  if (first === undefined) throw new Error('nobody signs')
  return must(combineRecoveries(on, [first, ...rest]))
}

function faultsOf(raw: Uint8Array, { inputs }: Recovery): readonly unknown[] {
  const transaction = Transaction.fromBuffer(raw)
  const spent = inputs.map(({ amountSat, output }) => ({
    valueSat: amountSat,
    script: output.scriptPubKey,
  }))
  return transaction.ins.map((_, index) => verifyInput(transaction, index, spent, true))
}

describe('the reserve, spent by a leaf', () => {
  it.each([
    ['members', [0, 1, 2]],
    ['members', [3, 1, 0]],
    ['members', [1, 2, 3]],
    ['recovery', [0, 1]],
    ['recovery', [2, 0]],
    ['recovery', [1, 2]],
  ] as const)(
    'by the %s’ leaf, holders %p sign one after another, and Bitcoin’s rules accept it (PO-19, 5.3)',
    (leaf, holders) => {
      const recovery = signedBy(leaf, holders)
      const raw = must(finishRecovery(genesis, recovery))
      expect(faultsOf(raw, recovery)).toEqual(outputs.map(() => undefined))
    },
  )

  it('signatures of more holders than it takes are left out, those of fewer make nothing', () => {
    const recovery = signedBy('members', [0, 1, 2, 3])
    expect(recoverySigners(genesis, recovery)).toHaveLength(4)
    const raw = must(finishRecovery(genesis, recovery))
    expect(faultsOf(raw, recovery)).toEqual(outputs.map(() => undefined))
    const [input] = must(parseTransaction(raw)).inputs
    expect(input?.witness.map(({ length }) => length).filter((size) => size === 64)).toHaveLength(3)
    const few = finishRecovery(genesis, signedBy('members', [0, 3]))
    expect(few).toEqual({ ok: false, error: { code: 'SignaturesMissing', have: 2, need: 3 } })
  })

  it('by leaf B every input waits for the delay of its script: BIP68 is on and the sequence is csv', () => {
    const raw = must(finishRecovery(genesis, signedBy('recovery', [0, 1])))
    const { inputs, version } = must(parseTransaction(raw))
    expect(version).toBe(2)
    expect(inputs.map(({ sequence }) => sequence)).toEqual(inputs.map(() => CSV_BLOCKS))
  })

  it('pays what was asked for, the rest less the fee of exactly its size', () => {
    for (const leaf of ['members', 'recovery'] as const) {
      const recovery = signedBy(leaf, [0, 1, 2].slice(0, leafKeys(genesis, leaf).threshold))
      const transaction = must(parseTransaction(must(finishRecovery(genesis, recovery))))
      const vsize = Math.ceil(transactionWeight(transaction) / 4)
      const margin = recoveryVsize(genesis, recovery) - vsize
      expect(margin).toBeGreaterThanOrEqual(0)
      expect(margin).toBeLessThanOrEqual(5)
      const feeSat = recoveryFeeSat(recovery)
      expect(feeSat * 1_000n).toBeGreaterThanOrEqual(BigInt(vsize) * 2_500n)
      expect(transaction.outputs.map(({ scriptPubKey }) => toHex(scriptPubKey))).toEqual([
        toHex(p2wpkh('payee')),
        toHex(p2wpkh('vault')),
      ])
    }
  })
})

describe('a plan', () => {
  const refused = (changes: Parameters<typeof wishOf>[0]) => {
    const result = planRecovery(genesis, wishOf(changes))
    return result.ok ? undefined : result.error.code
  }

  it('is not made of nothing, of too much, or at a rate that is a mistake', () => {
    expect(refused({ outputs: [] })).toBe('NothingToSpend')
    const most = mostInputs(genesis, 'members')
    const many = Array.from({ length: most + 1 }, (_, vout) => ({
      ...(outputs[0] as (typeof outputs)[number]),
      vout,
    }))
    expect(refused({ outputs: many })).toBe('TooManyInputs')
    expect(refused({ feeRateSatPerKvb: 999 })).toBe('FeeRateWrong')
    expect(refused({ feeRateSatPerKvb: 2_000_001 })).toBe('FeeRateWrong')
    expect(refused({ feeRateSatPerKvb: Number.NaN })).toBe('FeeRateWrong')
  })

  it('needs a key for each epoch, and leaves nothing below dust', () => {
    expect(refused({ keys: [] })).toBe('EpochKeyMissing')
    expect(refused({ payments: [{ scriptPubKey: p2wpkh('x'), amountSat: 545n }] })).toBe(
      'PaymentBelowDust',
    )
    expect(refused({ payments: [{ scriptPubKey: p2wpkh('x'), amountSat: 40_000_000n }] })).toBe(
      'AmountTooSmall',
    )
  })

  it('as large as it may be, it is within what relay takes', () => {
    const [output] = outputs
    for (const leaf of ['members', 'recovery'] as const) {
      const most = Array.from({ length: mostInputs(genesis, leaf) }, (_, vout) => {
        return { ...(output as (typeof outputs)[number]), vout }
      })
      const recovery = must(planRecovery(genesis, wishOf({ leaf, outputs: most })))
      expect(recoveryVsize(genesis, recovery)).toBeLessThanOrEqual(100_000)
    }
  })
})

describe('the PSBT of a recovery', () => {
  const text = () => encodeRecovery(genesis, signedBy('members', [1]))
  const codeOf = (psbt: string, on = genesis) => {
    const result = decodeRecovery(on, psbt)
    return result.ok ? undefined : result.error.code
  }
  const altered = (change: (psbt: Psbt) => void) => {
    const psbt = Psbt.fromBase64(text())
    change(psbt)
    return psbt.toBase64()
  }

  it('has the fields of BIP174 and BIP371 that a signer elsewhere wants', () => {
    const [first] = Psbt.fromBase64(text()).data.inputs
    const [recovery] = signedBy('members', [1]).inputs
    expect(first?.witnessUtxo?.value).toBe(10_000_000n)
    expect(first?.tapInternalKey).toEqual(recovery?.output.internalKey)
    expect(first?.tapLeafScript?.[0]?.controlBlock).toEqual(recovery?.output.controlBlockA)
    expect(first?.tapScriptSig?.map(({ pubkey }) => toHex(pubkey))).toEqual([
      toHex(schnorrPublicKey(memberSecrets[1] as Uint8Array)),
    ])
  })

  it('is what it was after a round trip, byte for byte', () => {
    const again = must(decodeRecovery(genesis, text()))
    expect(encodeRecovery(genesis, again)).toBe(text())
    expect(again).toEqual(signedBy('members', [1]))
  })

  it('of another chain, or none at all, is refused', () => {
    expect(codeOf(text(), testGenesis())).toBe('PsbtOfAnotherChain')
    expect(codeOf('')).toBe('PsbtMalformed')
    expect(codeOf('cHNidP8=')).toBe('PsbtMalformed')
    expect(codeOf(text().slice(0, 400))).toBe('PsbtMalformed')
  })

  it('with an amount, a script, a key or a tweak that is another one, is refused by name', () => {
    const input = (psbt: Psbt) => psbt.data.inputs[0] as (typeof psbt.data.inputs)[number]
    // What BIP341's digest commits to: the signature that is there shows it.
    const amount = altered((psbt) => {
      const utxo = input(psbt).witnessUtxo as { value: bigint }
      utxo.value += 1n
    })
    expect(codeOf(amount)).toBe('SignatureWrong')
    const script = altered((psbt) => {
      const utxo = input(psbt).witnessUtxo as { script: Uint8Array }
      utxo.script = p2wpkh('mine')
    })
    expect(codeOf(script)).toBe('InputForeign')
    const internal = altered((psbt) => {
      input(psbt).tapInternalKey = schnorrPublicKey(seeded('mine'))
    })
    expect(codeOf(internal)).toBe('InputForeign')
    const tweak = altered((psbt) => {
      const [, field] = psbt.data.inputs[2]?.unknownKeyVals ?? []
      field?.value.set(addressOf('mine'))
    })
    expect(codeOf(tweak)).toBe('InputForeign')
    const epoch = altered((psbt) => {
      const [field] = input(psbt).unknownKeyVals ?? []
      field?.value.set(epochKey.publicKey, 8)
    })
    expect(codeOf(epoch)).toBe('InputForeign')
  })

  it('with an output of epoch 0 under a key that somebody has, is refused: that epoch’s key nobody has', () => {
    const [first, ...rest] = planned('members').inputs
    if (first === undefined) throw new Error('no input')
    const groupKey = epochKey.publicKey
    const output = outputOf(genesis, first.spend, groupKey)
    const forged = { ...planned('members'), inputs: [{ ...first, groupKey, output }, ...rest] }
    expect(decodeRecovery(genesis, encodeRecovery(genesis, forged))).toMatchObject({
      ok: false,
      error: { code: 'InputForeign', reason: expect.stringContaining('epoch 0') },
    })
    const keys = [{ ...epochKey, epoch: 0 }, epochKey]
    expect(planRecovery(genesis, wishOf({ keys }))).toEqual({ ok: true, value: planned('members') })
  })

  it('with another leaf, or a signature that is none, is refused', () => {
    const leaf = altered((psbt) => {
      const [path] = psbt.data.inputs[1]?.tapLeafScript ?? []
      if (path !== undefined) path.script = Uint8Array.of(0x51)
    })
    expect(codeOf(leaf)).toBe('InputForeign')
    const signature = altered((psbt) => {
      const [one] = psbt.data.inputs[1]?.tapScriptSig ?? []
      if (one !== undefined) one.signature[5] = (one.signature[5] as number) ^ 1
    })
    expect(codeOf(signature)).toBe('SignatureWrong')
    const stranger = altered((psbt) => {
      const [one] = psbt.data.inputs[1]?.tapScriptSig ?? []
      if (one !== undefined) one.pubkey = schnorrPublicKey(seeded('stranger'))
    })
    expect(codeOf(stranger)).toBe('KeyNotInLeaf')
  })

  it('that gives the miner more than 2,000 sat/vB is refused by whoever reads it', () => {
    const plan = planned('members')
    const [payment, rest] = plan.outputs
    if (payment === undefined || rest === undefined) throw new Error('no output')
    const feeAt = (rate: bigint) => (BigInt(recoveryVsize(genesis, plan)) * rate) / 1_000n
    const paying = (feeSat: bigint) => {
      const inSat = plan.inputs.reduce((sum, { amountSat }) => sum + amountSat, 0n)
      const restSat = inSat - payment.amountSat - feeSat
      const outputs = [payment, { ...rest, amountSat: restSat }]
      return decodeRecovery(genesis, encodeRecovery(genesis, { ...plan, outputs }))
    }
    expect(paying(feeAt(2_000_000n))).toMatchObject({ ok: true })
    expect(paying(feeAt(2_001_000n))).toMatchObject({ ok: false, error: { code: 'FeeRateWrong' } })
  })

  it('with another version or sequence than those of its leaf, is refused', () => {
    const unsigned = encodeRecovery(genesis, planned('recovery'))
    const changed = (change: (psbt: Psbt) => void) => {
      const psbt = Psbt.fromBase64(unsigned)
      change(psbt)
      return codeOf(psbt.toBase64())
    }
    expect(changed((psbt) => psbt.setInputSequence(0, CSV_BLOCKS - 1))).toBe('PsbtMalformed')
    expect(changed((psbt) => psbt.setVersion(1))).toBe('PsbtMalformed')
    expect(changed((psbt) => psbt.setLocktime(1))).toBe('PsbtMalformed')
  })

  it('with any byte changed it is refused, or spends and pays the same (C-7)', () => {
    const whole = Buffer.from(text(), 'base64')
    const own = unsignedRecovery(genesis, planned('members'))
    let refused = 0
    for (let at = 0; at < whole.length; at += 29) {
      const bytes = Uint8Array.from(whole)
      bytes[at] = (bytes[at] as number) ^ 0x55
      const result = decodeRecovery(genesis, Buffer.from(bytes).toString('base64'))
      if (!result.ok) refused += 1
      // A field may turn into one that nobody reads, such as a signature that is then missing.
      else expect(unsignedRecovery(genesis, result.value)).toEqual(own)
    }
    expect(refused).toBeGreaterThan(whole.length / 29 / 2)
  })
})

describe('one holder', () => {
  it('whose key is not in the leaf signs nothing', () => {
    const cold = recoverySecrets[0] as Uint8Array
    expect(signRecovery(genesis, planned('members'), cold, AUXILIARY)).toMatchObject({
      ok: false,
      error: { code: 'KeyNotInLeaf' },
    })
    expect(signRecovery(genesis, planned('recovery'), cold, AUXILIARY).ok).toBe(true)
  })

  it('copies of different plans are not put together', () => {
    const other = must(planRecovery(genesis, wishOf({ feeRateSatPerKvb: 3_000 })))
    expect(combineRecoveries(genesis, [planned('members'), other])).toMatchObject({
      ok: false,
      error: { code: 'OtherTransaction' },
    })
    const leafB = planned('recovery')
    expect(combineRecoveries(genesis, [planned('members'), leafB]).ok).toBe(false)
  })
})

/**
 * A recovery as a PSBT (BIP174, BIP371), which is what holders pass around: every input with the output that it spends, its internal key, the
 * leaf, the control block and the signatures so far, and, as proprietary fields, what the output follows from (protocol §5.4): {epoch, x(X)}
 * and {evm, refund}. Whoever reads one computes every output anew and checks every signature.
 */
import { Psbt, Transaction } from 'bitcoinjs-lib'
import { compactSize, serializeTransaction } from '../core/bitcoin/index.ts'
import { outpointKey } from '../core/ledger/index.ts'
import { err, type Genesis, ok, type Result } from '../core/params/index.ts'
import { federationKey, outpointName, type SpendTweak, tapLeafHash } from '../core/peg/index.ts'
import {
  bigintFromBytes,
  concatBytes,
  equalBytes,
  fromHex,
  isSchnorrKey,
  toHex,
  uint64be,
} from '../crypto/index.ts'
import {
  leafControlBlock,
  leafScript,
  leafSequence,
  MAX_RECOVERY_RATE_SAT_PER_KVB,
  outputOf,
  RECOVERY_LEAVES,
  type Recovery,
  type RecoveryFault,
  type RecoveryInput,
  type RecoveryLeaf,
  recoveryFeeSat,
  recoveryRate,
  unsignedRecovery,
  wrongSignature,
} from './recovery.ts'

const LEAF_VERSION = 0xc0
const PROPRIETARY = 0xfc
const OWNER = new TextEncoder().encode('millrace')
/** Of the global map: the genesis hash; of an input: epoch and x(X), evm address and refund script. */
const SUBTYPE = { chain: 0, key: 1, deposit: 2 } as const
/** As of the ledger's rows. */
const MAX_REFUND_BYTES = 128
const MAX_PSBT_CHARS = 16_000_000

function fieldKey(subtype: number): Uint8Array {
  const owner = concatBytes(compactSize(OWNER.length), OWNER)
  return concatBytes(Uint8Array.of(PROPRIETARY), owner, compactSize(subtype))
}

interface Pair {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

function fieldOf(pairs: readonly Pair[] | undefined, subtype: number): Uint8Array | undefined {
  const wanted = fieldKey(subtype)
  return pairs?.find(({ key }) => equalBytes(key, wanted))?.value
}

/** Base64, as BIP174 has it for files and clipboards. */
export function encodeRecovery(genesis: Genesis, recovery: Recovery): string {
  const psbt = new Psbt()
  const unsigned = unsignedRecovery(genesis, recovery)
  psbt.setVersion(unsigned.version)
  psbt.data.addUnknownKeyValToGlobal({ key: fieldKey(SUBTYPE.chain), value: genesis.hash })
  for (const [index, input] of recovery.inputs.entries()) {
    const { amountSat, groupKey, output, spend, txid, vout } = input
    const script = leafScript(recovery.leaf, output)
    const sequence = leafSequence(genesis, recovery.leaf)
    psbt.addInput({
      hash: txid,
      index: vout,
      sequence,
      witnessUtxo: { script: output.scriptPubKey, value: amountSat },
      tapInternalKey: output.internalKey,
      tapLeafScript: [
        {
          leafVersion: LEAF_VERSION,
          script,
          controlBlock: leafControlBlock(recovery.leaf, output),
        },
      ],
    })
    const key = concatBytes(uint64be(spend.epoch), groupKey)
    psbt.data.addUnknownKeyValToInput(index, { key: fieldKey(SUBTYPE.key), value: key })
    if (spend.deposit !== undefined) {
      const { evmAddress, refundScript } = spend.deposit
      const value = concatBytes(evmAddress, refundScript)
      psbt.data.addUnknownKeyValToInput(index, { key: fieldKey(SUBTYPE.deposit), value })
    }
  }
  for (const { amountSat, scriptPubKey } of recovery.outputs) {
    psbt.addOutput({ script: scriptPubKey, value: amountSat })
  }
  // Last: to what is signed nothing can be added.
  for (const [index, { output, signatures }] of recovery.inputs.entries()) {
    if (signatures.size === 0) continue
    const leafHash = tapLeafHash(leafScript(recovery.leaf, output))
    const tapScriptSig = [...signatures].map(([name, signature]) => {
      return { pubkey: fromHex(name) as Uint8Array, leafHash, signature }
    })
    psbt.updateInput(index, { tapScriptSig })
  }
  return psbt.toBase64()
}

/** Total: a recovery of this chain with checked outputs and signatures, or what is wrong. */
export function decodeRecovery(genesis: Genesis, text: string): Result<Recovery, RecoveryFault> {
  const malformed = (reason: string) => err({ code: 'PsbtMalformed', reason } as const)
  if (text.length > MAX_PSBT_CHARS) return malformed(`longer than ${MAX_PSBT_CHARS} characters`)
  let psbt: Psbt
  let transaction: Transaction
  try {
    psbt = Psbt.fromBase64(text.trim())
    transaction = Transaction.fromBuffer(psbt.data.getTransaction())
  } catch (error) {
    return malformed((error as Error).message.split('\n', 1)[0] ?? '')
  }
  const chain = fieldOf(psbt.data.globalMap.unknownKeyVals, SUBTYPE.chain)
  if (chain === undefined || !equalBytes(chain, genesis.hash)) {
    return err({ code: 'PsbtOfAnotherChain' })
  }
  const [first] = psbt.data.inputs
  const script = first?.tapLeafScript?.[0]?.script
  const leaf = RECOVERY_LEAVES.find((name) => {
    const known = leafScript(name, outputOf(genesis, { epoch: 0 }, federationKey(genesis, 0)))
    return script !== undefined && equalBytes(known, script)
  })
  if (leaf === undefined) return malformed('the first input names no leaf of this federation')
  const inputs: RecoveryInput[] = []
  for (const [index, data] of psbt.data.inputs.entries()) {
    const spent = transaction.ins[index]
    if (spent === undefined) return malformed(`no input ${index}`)
    const txid = Uint8Array.from(spent.hash)
    const read = readInput(genesis, leaf, txid, spent.index, data)
    if (!read.ok) return read
    inputs.push(read.value)
  }
  const outputs = transaction.outs.map(({ script: scriptPubKey, value }) => {
    return { scriptPubKey: Uint8Array.from(scriptPubKey), amountSat: value }
  })
  const recovery: Recovery = { leaf, inputs, outputs }
  const names = new Set(inputs.map(({ txid, vout }) => toHex(outpointKey(txid, vout))))
  if (names.size !== inputs.length) return malformed('an outpoint is spent twice')
  const own = serializeTransaction(unsignedRecovery(genesis, recovery))
  // Version, lock time and sequences are those of the leaf, and nothing else is in it.
  if (!equalBytes(own, Uint8Array.from(transaction.toBuffer()))) {
    return malformed('version, lock time or a sequence are not those of the leaf')
  }
  if (recoveryFeeSat(recovery) < 0n) return malformed('it pays more than it spends')
  if (recoveryRate(genesis, recovery) > MAX_RECOVERY_RATE_SAT_PER_KVB) {
    return err({ code: 'FeeRateWrong', reason: 'expected at most 2,000 sat/vB' })
  }
  const fault = wrongSignature(genesis, recovery)
  return fault === undefined ? ok(recovery) : err(fault)
}

type InputData = Psbt['data']['inputs'][number]

function readInput(
  genesis: Genesis,
  leaf: RecoveryLeaf,
  txid: Uint8Array,
  vout: number,
  data: InputData,
): Result<RecoveryInput, RecoveryFault> {
  const outpoint = outpointName(outpointKey(txid, vout))
  const foreign = (reason: string) => err({ code: 'InputForeign', outpoint, reason } as const)
  const origin = readOrigin(genesis, data)
  if (typeof origin === 'string') return foreign(origin)
  const { groupKey, spend } = origin
  const { tapInternalKey, tapLeafScript, tapScriptSig = [], witnessUtxo } = data
  const output = outputOf(genesis, spend, groupKey)
  if (witnessUtxo === undefined || !equalBytes(witnessUtxo.script, output.scriptPubKey)) {
    return foreign('it is not the output that epoch, address and refund script give')
  }
  if (tapInternalKey === undefined || !equalBytes(tapInternalKey, output.internalKey)) {
    return foreign('the internal key is another one')
  }
  const [path] = tapLeafScript ?? []
  const script = leafScript(leaf, output)
  const isLeaf =
    tapLeafScript?.length === 1 &&
    path?.leafVersion === LEAF_VERSION &&
    equalBytes(path.script, script) &&
    equalBytes(path.controlBlock, leafControlBlock(leaf, output))
  if (!isLeaf) return foreign('leaf or control block are others')
  const leafHash = tapLeafHash(script)
  const signatures = new Map<string, Uint8Array>()
  for (const { leafHash: of, pubkey, signature } of tapScriptSig) {
    if (!equalBytes(of, leafHash)) return foreign('a signature is for another leaf')
    signatures.set(toHex(pubkey), Uint8Array.from(signature))
  }
  const amountSat = BigInt(witnessUtxo.value)
  return ok({ txid, vout, amountSat, spend, groupKey, output, signatures })
}

/** What the output follows from, by the proprietary fields; or what is wrong with them. */
function readOrigin(
  genesis: Genesis,
  { unknownKeyVals }: InputData,
): { readonly spend: SpendTweak; readonly groupKey: Uint8Array } | string {
  const key = fieldOf(unknownKeyVals, SUBTYPE.key)
  if (key?.length !== 8 + 32) return 'no epoch and key'
  const epoch = bigintFromBytes(key.subarray(0, 8))
  if (epoch > BigInt(Number.MAX_SAFE_INTEGER)) return 'no epoch'
  const groupKey = Uint8Array.from(key.subarray(8))
  if (!isSchnorrKey(groupKey)) return 'the key of the epoch is no point'
  if (epoch === 0n && !equalBytes(groupKey, federationKey(genesis, 0))) {
    return 'the key of epoch 0 follows from the genesis file and is another one'
  }
  const deposit = fieldOf(unknownKeyVals, SUBTYPE.deposit)
  if (deposit === undefined) return { spend: { epoch: Number(epoch) }, groupKey }
  if (deposit.length < 20 || deposit.length > 20 + MAX_REFUND_BYTES) return 'no EVM address'
  const evmAddress = Uint8Array.from(deposit.subarray(0, 20))
  const refundScript = Uint8Array.from(deposit.subarray(20))
  return { spend: { epoch: Number(epoch), deposit: { evmAddress, refundScript } }, groupKey }
}

/** What the mempool accepts beyond what blocks demand: Core 26's standardness, with version 3 let in. */

import { compactSize } from './bytes.ts'
import { type Coin, isUnspendable } from './coins.ts'
import { isPushOnly, multisigKeys, scriptType } from './output-script.ts'
import { witnessProgram } from './script.ts'
import type { Tx } from './transaction.ts'

export const MIN_RELAY_SAT_PER_KVB = 1_000n
export const INCREMENTAL_SAT_PER_KVB = 1_000n
const DUST_SAT_PER_KVB = 3_000n
const MAX_STANDARD_WEIGHT = 400_000
const MAX_VERSION = 3
const MAX_SCRIPT_SIG_BYTES = 1_650
const MAX_DATA_SCRIPT_BYTES = 83
const MIN_STRIPPED_BYTES = 65
const MAX_STACK_ITEM_BYTES = 80

/** Fee of `vsize` bytes at a rate, rounded up (Core's GetFee). */
export function feeAtRate(satPerKvb: bigint, vsize: number): bigint {
  return (satPerKvb * BigInt(vsize) + 999n) / 1_000n
}

/** Why a transaction is not standard, or undefined (Core's IsStandardTx). */
export function checkStandard(tx: Tx): string | undefined {
  const { version, ins, outs } = tx.body
  if (version < 1 || version > MAX_VERSION) return 'version'
  if (tx.weight > MAX_STANDARD_WEIGHT) return 'tx-size'
  for (const { script } of ins) {
    if (script.length > MAX_SCRIPT_SIG_BYTES) return 'scriptsig-size'
    if (!isPushOnly(script)) return 'scriptsig-not-pushonly'
  }
  let dataOutputs = 0
  for (const out of outs) {
    const type = scriptType(out.script)
    if (type === 'nonstandard' || !isStandardOutput(type, out.script)) return 'scriptpubkey'
    if (type === 'nulldata') dataOutputs += 1
    else if (out.value < dustThresholdSat(out.script)) return 'dust'
  }
  if (dataOutputs > 1) return 'multi-op-return'
  return tx.strippedSize < MIN_STRIPPED_BYTES ? 'tx-size-small' : undefined
}

function isStandardOutput(type: string, script: Uint8Array): boolean {
  if (type === 'nulldata') return script.length <= MAX_DATA_SCRIPT_BYTES
  return type !== 'multisig' || (multisigKeys(script)?.keys.length ?? 4) <= 3
}

/** Below this an output costs more to spend than it is worth (Core's GetDustThreshold). */
export function dustThresholdSat(script: Uint8Array): bigint {
  if (isUnspendable(script)) return 0n
  const outputBytes = 8 + compactSize(script.length).length + script.length
  const inputBytes = witnessProgram(script) === undefined ? 148 : 67
  return feeAtRate(DUST_SAT_PER_KVB, outputBytes + inputBytes)
}

/** Core's AreInputsStandard and IsWitnessStandard, for the outputs this regtest can spend. */
export function checkStandardInputs(tx: Tx, coins: readonly Coin[]): string | undefined {
  for (const [index, { script }] of coins.entries()) {
    const type = scriptType(script)
    if (type === 'nonstandard' || type === 'witness_unknown') return 'bad-txns-nonstandard-inputs'
    const witness = tx.body.ins[index]?.witness ?? []
    if (type !== 'witness_v1_taproot' || witness.length < 2) continue
    const control = witness.at(-1)
    if (control === undefined || control.length === 0 || control[0] === 0x50) {
      return 'bad-witness-nonstandard'
    }
    const stack = witness.slice(0, -2)
    const tapscript = ((control[0] ?? 0) & 0xfe) === 0xc0
    if (tapscript && stack.some((item) => item.length > MAX_STACK_ITEM_BYTES)) {
      return 'bad-witness-nonstandard'
    }
  }
  return undefined
}

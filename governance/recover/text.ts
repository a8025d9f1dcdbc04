/** A recovery as a treasurer reads it before signing. */
import {
  leafKeys,
  type Recovery,
  type RecoveryInput,
  type RecoveryLeaf,
  recoveryFeeSat,
  recoverySigners,
  recoveryVsize,
  unsignedRecovery,
} from '../../bridge/index.ts'
import { addressFromScript, txid as hashOf } from '../../core/bitcoin/index.ts'
import { outpointKey } from '../../core/ledger/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { outpointName } from '../../core/peg/index.ts'
import { equalBytes, fromHex, toDisplayHash, toHex } from '../../crypto/index.ts'

/** Satoshi as bitcoin. */
export function bitcoinText(amountSat: bigint): string {
  const digits = String(amountSat % 100_000_000n).padStart(8, '0')
  return `${amountSat / 100_000_000n}.${digits} BTC`
}

/** What a key is in the genesis file. */
export function holderName(genesis: Genesis, leaf: RecoveryLeaf, key: Uint8Array): string {
  if (leaf === 'members') {
    return `member ${genesis.members.findIndex(({ schnorrKey }) => equalBytes(schnorrKey, key))}`
  }
  return `recovery key ${genesis.recovery.schnorrKeys.findIndex((one) => equalBytes(one, key))}`
}

export interface RecoverySummary {
  readonly leaf: RecoveryLeaf
  readonly txid: string
  readonly inputs: readonly { readonly outpoint: string; readonly amountSat: string }[]
  readonly outputs: readonly { readonly address: string; readonly amountSat: string }[]
  readonly feeSat: string
  readonly vsize: number
  /** Blocks that every input must be deep. */
  readonly delayBlocks: number
  readonly threshold: number
  readonly signed: readonly string[]
  readonly missing: readonly string[]
}

export function summaryOf(genesis: Genesis, recovery: Recovery): RecoverySummary {
  const { inputs, leaf, outputs } = recovery
  const { keys, threshold } = leafKeys(genesis, leaf)
  const signers = new Set(recoverySigners(genesis, recovery))
  const names = keys.map((key) => [toHex(key), holderName(genesis, leaf, key)] as const)
  return {
    leaf,
    txid: toDisplayHash(hashOf(unsignedRecovery(genesis, recovery))),
    inputs: inputs.map((input) => ({
      outpoint: nameOf(input),
      amountSat: input.amountSat.toString(),
    })),
    outputs: outputs.map(({ amountSat, scriptPubKey }) => ({
      address: destination(genesis, scriptPubKey),
      amountSat: amountSat.toString(),
    })),
    feeSat: recoveryFeeSat(recovery).toString(),
    vsize: recoveryVsize(genesis, recovery),
    delayBlocks: leaf === 'recovery' ? genesis.recovery.csvBlocks : 0,
    threshold,
    signed: names.flatMap(([key, name]) => (signers.has(key) ? [name] : [])).sort(),
    missing: names.flatMap(([key, name]) => (signers.has(key) ? [] : [name])).sort(),
  }
}

function nameOf({ txid, vout }: RecoveryInput): string {
  return outpointName(outpointKey(txid, vout))
}

function destination({ bitcoin }: Genesis, script: Uint8Array): string {
  return addressFromScript(script, bitcoin.network) ?? `script ${toHex(script)}`
}

const SHOWN_INPUTS = 12

export function summaryText(genesis: Genesis, recovery: Recovery): string {
  const summary = summaryOf(genesis, recovery)
  const { file, recovery: cold } = genesis
  const { inputs, leaf } = recovery
  const totalSat = inputs.reduce((sum, { amountSat }) => sum + amountSat, 0n)
  const keys = summary.signed.length + summary.missing.length
  const by =
    leaf === 'members'
      ? `${summary.threshold} of the ${keys} members' own keys (leaf A)`
      : `${summary.threshold} of the ${keys} recovery keys, each output ${cold.csvBlocks} blocks deep (leaf B)`
  const rows = inputs.slice(0, SHOWN_INPUTS).map((input) => {
    return `    ${bitcoinText(input.amountSat).padStart(22)}  ${nameOf(input)}  ${originText(input)}`
  })
  const more = inputs.length - rows.length
  const feeSat = recoveryFeeSat(recovery)
  const rate = (Number(feeSat) / summary.vsize).toFixed(1)
  return [
    `chain        ${file.name} on Bitcoin ${genesis.bitcoin.network}, genesis ${toHex(genesis.hash).slice(0, 16)}…`,
    `by           ${by}`,
    `transaction  ${summary.txid}`,
    `spends       ${bitcoinText(totalSat)} in ${inputs.length} output${inputs.length === 1 ? '' : 's'} of the reserve`,
    ...rows,
    ...(more > 0 ? [`    and ${more} more`] : []),
    'pays',
    ...recovery.outputs.map(({ amountSat, scriptPubKey }) => {
      return `    ${bitcoinText(amountSat).padStart(22)}  ${destination(genesis, scriptPubKey)}`
    }),
    `fee          ${feeSat} sat, ${rate} sat/vB for ${summary.vsize} vB`,
    `signed       ${summary.signed.length} of ${summary.threshold}${listText(summary.signed)}`,
    '',
  ].join('\n')
}

function originText({ spend }: RecoveryInput): string {
  const { deposit, epoch } = spend
  return `epoch ${epoch}${deposit === undefined ? '' : `, for 0x${toHex(deposit.evmAddress)}`}`
}

function listText(names: readonly string[]): string {
  return names.length === 0 ? '' : `: ${names.join(', ')}`
}

/** The holder of a secret's public key, by hex. */
export function signerName(genesis: Genesis, leaf: RecoveryLeaf, key: string): string {
  return holderName(genesis, leaf, fromHex(key) ?? new Uint8Array(0))
}

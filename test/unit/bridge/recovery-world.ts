/** A federation whose reserve is to be recovered: four members, three recovery keys, a key of epoch 1, and some outputs of both epochs. */
import type { EpochKey, RecoveryWish, ReserveOutput } from '../../../bridge/index.ts'
import { type Genesis, parseGenesis } from '../../../core/params/index.ts'
import { beginDkg, blsSuite, groupKeyFrom, schnorrPublicKey, toHex } from '../../../crypto/index.ts'
import { randomOf } from '../core/keygen/ceremony.ts'
import { addressOf, p2wpkh, seeded, testGenesis } from '../core/peg/world.ts'

export const AUXILIARY = seeded('auxiliary')
export const CSV_BLOCKS = 10
export const memberSecrets = [0, 1, 2, 3].map((index) => seeded(`schnorr ${index}`))
export const recoverySecrets = [0, 1, 2].map((index) => seeded(`cold ${index}`))

export function recoveryGenesis(csvBlocks = CSV_BLOCKS, recoveryThreshold = 2): Genesis {
  const recovery = {
    schnorrKeys: recoverySecrets.map((secret) => toHex(schnorrPublicKey(secret))),
    threshold: recoveryThreshold,
    csvBlocks,
  }
  const parsed = parseGenesis({ ...testGenesis().file, recovery }, blsSuite)
  if (!parsed.ok) throw new Error(parsed.error.reason)
  return parsed.value
}

const { told } = beginDkg(
  { id: seeded('id'), threshold: 3, signers: [1, 2, 3, 4] },
  1,
  randomOf('x'),
)
const { commitments } = groupKeyFrom(told.commitments, [])

export const epochKey: EpochKey = {
  epoch: 1,
  publicKey: (commitments[0] as Uint8Array).slice(1),
  commitments: [...commitments],
  signers: [1, 2, 3, 4],
  sessionId: seeded('id'),
  bitcoinHeight: 0,
  height: 7,
}

/** Plain and tweaked, with and without a refund script, of both epochs. */
export const outputs: readonly ReserveOutput[] = [
  { epoch: 0 },
  { epoch: 1 },
  { epoch: 1, deposit: { evmAddress: addressOf('a'), refundScript: new Uint8Array(0) } },
  { epoch: 0, deposit: { evmAddress: addressOf('b'), refundScript: p2wpkh('refund') } },
].map((spend, index) => ({
  ...spend,
  txid: seeded(`deposit ${index}`),
  vout: index,
  amountSat: 10_000_000n + BigInt(index),
}))

export function wishOf(changes: Partial<RecoveryWish> = {}): RecoveryWish {
  return {
    leaf: 'members',
    outputs,
    keys: [epochKey],
    payments: [{ scriptPubKey: p2wpkh('payee'), amountSat: 1_000_000n }],
    rest: p2wpkh('vault'),
    feeRateSatPerKvb: 2_500,
    ...changes,
  }
}

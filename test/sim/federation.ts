/** The keys and the genesis that all worlds share, over a regtest that was mined once. */

import { type Genesis, PROTOCOL_VERSION, parseGenesis } from '../../core/params/index.ts'
import {
  blsKeyPair,
  blsSigner,
  blsSuite,
  provePossession,
  type SignatureSuite,
  type Signer,
  schnorrPublicKey,
  sha256,
  toHex,
} from '../../crypto/index.ts'
import { describeTx, Regtest, type Tx } from '../../devnet/bitcoin/index.ts'
import type { MemberKeys } from '../../governance/tree.ts'
import { evmGenesisOf, genesisBlock } from '../../vm/evm/index.ts'
import {
  type Coin,
  keyHashScript,
  type Payment,
  secretKey,
  spendKeyHash,
} from '../unit/devnet/bitcoin/wallet.ts'
import { createKeyRegistry } from './signatures.ts'
import { START_MS } from './world.ts'

export const SLOT_MS = 1_000
/** Of all coins that users have. */
export const USER = secretKey(1)
export const USER_SCRIPT = keyHashScript(USER)
const MATURITY = 100
/** Coins of the user that may be spent from the beginning. */
const MATURE_COINS = 12

export function seeded(name: string): Uint8Array {
  return sha256(new TextEncoder().encode(`simulated ${name}`))
}

/** The fake suite is not to be forged inside a world; the real one is there to keep it honest. */
export type Signatures = 'fake' | 'real'

/** One world in a hundred, known from its seed. */
export function signaturesOf(seed: number): Signatures {
  return seed % 100 === 7 ? 'real' : 'fake'
}

export interface Federation {
  readonly genesis: Genesis
  readonly signatures: Signatures
  /** One handle per validator; a process is given its own alone. */
  readonly validators: readonly Signer[]
  readonly members: readonly MemberKeys[]
  /** A key that is nobody's. */
  readonly stranger: Signer
  /** Bitcoin's blocks up to the checkpoint. */
  readonly bitcoinBlocks: readonly Uint8Array[]
  readonly coins: readonly Coin[]
}

/** Spends one of the user's coins. */
export function spend(coin: Coin, payments: readonly Payment[]): Tx {
  return describeTx(spendKeyHash(coin, USER, payments))
}

function mineBitcoin(now: () => number): { regtest: Regtest; coins: Coin[] } {
  const regtest = new Regtest({ now, log: () => {} })
  const coins: Coin[] = []
  for (let height = 1; height <= MATURITY + MATURE_COINS; height++) {
    const mined = regtest.mine(USER_SCRIPT)
    if ('reason' in mined) throw new Error(mined.reason)
    const [coinbase] = mined.block.txs
    const output = coinbase?.body.outs[0]
    if (coinbase === undefined || output === undefined) throw new Error('a block without coinbase')
    if (height <= MATURE_COINS) {
      const { value: amountSat, script } = output
      coins.push({ txid: coinbase.txid, vout: 0, amountSat, script })
    }
  }
  return { regtest, coins }
}

/** Parameters of a genesis file that a profile sets otherwise. */
export interface ChangedParams {
  readonly refundAfterBlocks?: number
  readonly maxPegInSat?: number
  readonly reorgCapSat?: number
  /** Not of `params`: the recovery delay [4320]. */
  readonly csvBlocks?: number
}

interface Keys {
  readonly suite: SignatureSuite
  issue(name: string): Signer
}

function keysOf(signatures: Signatures): Keys {
  return signatures === 'fake'
    ? createKeyRegistry('millrace-simulated')
    : { suite: blsSuite, issue: (name) => blsSigner(blsKeyPair(seeded(name)).secretKey) }
}

/** `powers`: of the validators, in their order [1 each]. */
export function createFederation(
  nodes: number,
  members: number,
  signatures: Signatures = 'fake',
  powers: readonly number[] = [],
  { csvBlocks = 4320, ...changed }: ChangedParams = {},
): Federation {
  const { suite, issue } = keysOf(signatures)
  const validators = Array.from({ length: nodes }, (_, at) => issue(`validator ${at}`))
  const memberKeys = Array.from({ length: members }, (_, at) => ({
    approver: issue(`member ${at}`),
    schnorrSecret: seeded(`schnorr ${at}`),
  }))
  const { regtest, coins } = mineBitcoin(() => START_MS - 3_600_000)
  const { tip } = regtest.chain
  const times = Array.from({ length: 11 }, (_, back) => {
    return regtest.chain.at(tip.height - 10 + back)?.header.time as number
  })
  const params = {
    slotMs: SLOT_MS,
    anchorGate: 'off',
    pegInConfirmations: 3,
    payoutConfirmations: 2,
    conflictDepth: 3,
    minPegInSat: 10_000,
    maxPegInSat: 10_000_000_000,
    totalCapSat: 1_000_000_000_000,
    dailyCapSat: 500_000_000_000,
    reorgCapSat: 500_000_000_000,
    pegInFeeSat: 1_000,
    refundFeeSat: 1_000,
    minPegOutSat: 100_000,
    batchWindowSeconds: 3,
    refundAfterBlocks: 600,
    advanceCapSat: 1_000_000,
    minFeeRateSatPerKvb: 1_000,
    maxFeeRateSatPerKvb: 1_000_000,
    gasLimit: 60_000_000,
    trustWindowSeconds: 1_209_600,
    evidenceMaxAgeBlocks: 10_800,
    ...changed,
  } as const
  const slot = START_MS / SLOT_MS
  const prevRandao = seeded('randao')
  const execution = { chainId: 262_144, gasLimit: params.gasLimit }
  const evm = { slotMs: SLOT_MS, minPegOutSat: BigInt(params.minPegOutSat) }
  const { payload } = genesisBlock(evmGenesisOf({ slot, prevRandao, params: evm, execution }))
  const parsed = parseGenesis(
    {
      protocolVersion: PROTOCOL_VERSION,
      name: 'millrace-simulated',
      bitcoin: {
        network: 'regtest',
        genesisHash: regtest.chain.at(0)?.hash,
        powLimitBits: 0x207fffff,
        noRetargeting: true,
        allowMinDifficulty: true,
        checkpoint: {
          height: tip.height,
          header: toHex(tip.raw.subarray(0, 80)),
          chainWork: tip.chainWork.toString(16).padStart(64, '0'),
          times,
          periodStart: toHex((regtest.chain.at(0) ?? tip).raw.subarray(0, 80)),
        },
      },
      validators: validators.map((signer, at) => ({
        blsKey: toHex(signer.publicKey),
        possession: toHex(provePossession(signer)),
        power: powers[at] ?? 1,
        address: toHex(seeded(`proposer ${at}`).subarray(0, 20)),
      })),
      members: memberKeys.map(({ approver, schnorrSecret }) => ({
        blsKey: toHex(approver.publicKey),
        possession: toHex(provePossession(approver)),
        schnorrKey: toHex(schnorrPublicKey(schnorrSecret)),
      })),
      recovery: {
        schnorrKeys: [0, 1, 2].map((at) => toHex(schnorrPublicKey(seeded(`recovery ${at}`)))),
        threshold: 2,
        csvBlocks,
      },
      params,
      execution: {
        fork: 'osaka',
        ...execution,
        auxChainId: 0x4d49,
        blockHash: toHex(payload.blockHash),
        stateRoot: toHex(payload.stateRoot),
      },
      slot,
      prevRandao: toHex(prevRandao),
    },
    suite,
  )
  if (!parsed.ok) throw new Error(parsed.error.reason)
  const bitcoinBlocks = Array.from({ length: tip.height }, (_, at) => {
    return regtest.chain.at(at + 1)?.raw as Uint8Array
  })
  return {
    genesis: parsed.value,
    signatures,
    validators,
    members: memberKeys,
    stranger: issue('stranger'),
    bitcoinBlocks,
    coins,
  }
}

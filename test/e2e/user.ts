/** What a user does with a federation, through its nodes' JSON-RPC and Bitcoin transactions alone. */
import { Interface, keccak256, Wallet } from 'ethers'
import { scriptFromAddress } from '../../core/bitcoin/index.ts'
import { depositPayloadScript } from '../../core/peg/index.ts'
import { hexBytes } from '../../crypto/index.ts'
import { type NodeRpc, RpcError, until } from '../../devnet/launcher/rpc.ts'
import type { DevelopmentWallet, WalletOutput } from '../../devnet/wallet.ts'
import { PATIENCE_MS } from './federation.ts'

export const BRIDGE_ADDRESS = '0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB'
export const WEI_PER_SAT = 10_000_000_000n
const BRIDGE = new Interface(['function requestPegOut(bytes bitcoinAddress) payable'])
const GAS_LIMIT = 300_000n
const TRANSFER_GAS = 21_000n
const MAX_FEE_WEI = 20_000_000_000n
const TIP_WEI = 1_000_000_000n
/** A node may die with what it has only in its pool. */
const OFFER_MS = 5_000

/** The parts of a federation that a user can reach. */
export interface Reachable {
  readonly rpc: NodeRpc
  readonly wallet: DevelopmentWallet
}

export interface PegStatus {
  readonly direction: 'in' | 'out'
  readonly id: string
  readonly step: string
  readonly amountSat: string
  readonly height?: number
  readonly refundable?: boolean
  readonly reason?: string
  readonly next?: string
  readonly txid?: string
  readonly batchId?: string
  readonly feeSat?: string
  readonly evmTransaction?: string
}

/** An EVM key that counts its own nonces and signs without asking a node for anything. */
export class Account {
  readonly address: string
  readonly #wallet: Wallet
  readonly #chainId: number
  #nonce = 0

  constructor(privateKey: string, chainId: number) {
    this.#wallet = new Wallet(privateKey)
    this.address = this.#wallet.address
    this.#chainId = chainId
  }

  static random(chainId: number): Account {
    return new Account(Wallet.createRandom().privateKey, chainId)
  }

  /** Signed bytes of the next transaction. */
  transfer(to: string, valueWei: bigint): Promise<string> {
    return this.#sign({ to, value: valueWei, gasLimit: TRANSFER_GAS })
  }

  /** To an address as text. */
  burn(bitcoinAddress: string, amountSat: bigint): Promise<string> {
    return this.burnTo(new TextEncoder().encode(bitcoinAddress), amountSat)
  }

  /** To a script, or whatever else its bytes are. */
  burnTo(destination: Uint8Array, amountSat: bigint): Promise<string> {
    return this.#sign({
      to: BRIDGE_ADDRESS,
      value: amountSat * WEI_PER_SAT,
      gasLimit: GAS_LIMIT,
      data: BRIDGE.encodeFunctionData('requestPegOut', [destination]),
    })
  }

  /** A contract from its creation code. */
  create(data: string): Promise<string> {
    return this.#sign({ value: 0n, gasLimit: GAS_LIMIT, data })
  }

  #sign(fields: { to?: string; value: bigint; gasLimit: bigint; data?: string }): Promise<string> {
    const nonce = this.#nonce
    this.#nonce += 1
    return this.#wallet.signTransaction({
      ...fields,
      type: 2,
      chainId: this.#chainId,
      nonce,
      maxFeePerGas: MAX_FEE_WEI,
      maxPriorityFeePerGas: TIP_WEI,
    })
  }
}

/** Gives signed bytes to a node, again every few seconds, until they are in a block; the transaction's hash. */
export async function include(rpc: NodeRpc, raw: string): Promise<string> {
  const hash = keccak256(raw)
  let offeredAtMs = Number.NEGATIVE_INFINITY
  const status = await until(`the receipt of ${hash}`, PATIENCE_MS, async () => {
    const found = await rpc.call<Receipt | null>('eth_getTransactionReceipt', [hash])
    if (found !== null) return found.status
    if (Date.now() - offeredAtMs < OFFER_MS) return undefined
    await rpc.call('eth_sendRawTransaction', [raw])
    offeredAtMs = Date.now()
    return undefined
  })
  if (status !== '0x1') throw new Error(`the transaction ${hash} was reverted`)
  return hash
}

interface Receipt {
  readonly status: string
}

/** Pays an EVM address's own deposit address; the outpoint. */
export async function payDeposit(
  { rpc, wallet }: Reachable,
  evmAddress: string,
  amountSat: bigint,
): Promise<string> {
  const target = await until('a deposit address', PATIENCE_MS, () =>
    rpc.call<{ address: string }>('getdepositaddress', [evmAddress]),
  )
  const txid = await wallet.pay([{ scriptPubKey: scriptOf(target.address), amountSat }])
  return `${txid}:0`
}

/** Pays the federation's own address with an EVM address in an OP_RETURN; the outpoint. */
export async function payWithMessage(
  federation: Reachable,
  evmAddress: string,
  amountSat: bigint,
): Promise<string> {
  const payload = depositPayloadScript(hexBytes(evmAddress.slice(2)))
  return `${await payFederation(federation, [amountSat], [payload])}:0`
}

/** Pays outputs as they are given, with the federation's script where one is wanted; the txid. */
export async function payFederation(
  { rpc, wallet }: Reachable,
  amountsSat: readonly bigint[],
  payloads: readonly Uint8Array[],
): Promise<string> {
  const script = scriptOf(await rpc.call<string>('getdepositaddress'))
  const outputs: WalletOutput[] = [
    ...amountsSat.map((amountSat) => ({ scriptPubKey: script, amountSat })),
    ...payloads.map((scriptPubKey) => ({ scriptPubKey, amountSat: 0n })),
  ]
  return wallet.pay(outputs)
}

export function scriptOf(address: string): Uint8Array {
  const script = scriptFromAddress(address, 'regtest')
  if (!script.ok) throw new Error(`no address of regtest: ${address}`)
  return script.value
}

/** The status of a peg operation; undefined when no node knows it. */
export async function pegStatus(rpc: NodeRpc, id: string): Promise<PegStatus | undefined> {
  try {
    return await rpc.call<PegStatus>('millrace_pegStatus', [id])
  } catch (error) {
    if (error instanceof RpcError) return undefined
    throw error
  }
}

/** Resolves when a deposit's coin is on the EVM chain. */
export async function minted(rpc: NodeRpc, outpoint: string): Promise<PegStatus> {
  return reached(rpc, outpoint, 'its mint', (status) => {
    if (status.refundable === true) throw new Error(`${outpoint} was recorded as refundable`)
    return status.step === 'Included' && status.next === undefined
  })
}

/** Resolves when the request that an EVM transaction made is paid and booked. */
export async function booked(rpc: NodeRpc, burnHash: string): Promise<PegStatus> {
  return reached(rpc, burnHash, 'its booking', ({ step }) => step === 'Booked')
}

/** Resolves when an operation is as wanted; the error tells where it stopped. */
export async function reached(
  rpc: NodeRpc,
  id: string,
  what: string,
  isReached: (status: PegStatus) => boolean,
): Promise<PegStatus> {
  let last = 'unknown'
  try {
    return await until(`${what} of ${id}`, PATIENCE_MS, async () => {
      const status = await pegStatus(rpc, id)
      last = JSON.stringify(status)
      return status !== undefined && isReached(status) ? status : undefined
    })
  } catch (error) {
    throw new Error(`${(error as Error).message}; last seen: ${last}`)
  }
}

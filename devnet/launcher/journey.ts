/**
 * The round trip as a user makes it: Bitcoin in, an ERC-20 on the EVM, Bitcoin out. It speaks to the nodes by JSON-RPC and to
 * Bitcoin by transactions, and knows nothing that a user does not know.
 */
import {
  Contract,
  ContractFactory,
  type JsonRpcError,
  type JsonRpcPayload,
  JsonRpcProvider,
  type JsonRpcResult,
  keccak256,
  NonceManager,
  parseEther,
  Wallet,
} from 'ethers'
import { scriptFromAddress } from '../../core/bitcoin/index.ts'
import tokenArtifacts from '../contracts/artifacts.json' with { type: 'json' }
import type { DevelopmentWallet } from '../wallet.ts'
import { developmentAccounts } from './accounts.ts'
import { createNodeRpc, createPost, type NodeRpc, until } from './rpc.ts'
import { bitcoinText, type Terminal } from './terminal.ts'

const BRIDGE_ADDRESS = '0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB'
const BRIDGE_ABI = ['function requestPegOut(bytes bitcoinAddress) payable']

const DEPOSIT_SAT = 1_200_000_000n
const PAYOUT_SAT = 50_000_000n
/** What each of the other nine accounts gets. */
const SHARE = parseEther('1')
const STEP_MS = 120_000
const WEI_PER_SAT = 10_000_000_000n

/** Results of the round trip, for the JSON line. */
export interface JourneyResult {
  readonly pegIn: { readonly outpoint: string; readonly amountSat: string; readonly block: number }
  readonly evm: { readonly txHash: string; readonly contract: string }
  readonly pegOut: {
    readonly id: string
    readonly txid: string
    readonly amountSat: string
    readonly feeSat: string
  }
}

export interface JourneyOptions {
  /** JSON-RPC of the nodes, of which any will do. */
  readonly rpcUrls: readonly [string, ...string[]]
  readonly wallet: DevelopmentWallet
  readonly terminal: Terminal
}

interface PegStatus {
  readonly id: string
  readonly step: string
  readonly amountSat: string
  readonly height?: number
  readonly refundable?: boolean
  readonly txid?: string
  readonly feeSat?: string
  readonly next?: string
  readonly progress?: { readonly have: number; readonly need: number }
}

export async function walkJourney(options: JourneyOptions): Promise<JourneyResult> {
  const { rpcUrls, terminal } = options
  const rpc = createNodeRpc(...rpcUrls)
  const [account] = developmentAccounts()
  if (account === undefined) throw new Error('there is no development account')
  const provider = new WalletProvider(rpcUrls)
  const signer = new NonceManager(new Wallet(account.privateKey, provider))
  try {
    const pegIn = await deposit(options, rpc, account.address, DEPOSIT_SAT)
    await shareOut(signer, terminal)
    const evm = await useToken(signer, terminal)
    const pegOut = await withdraw(options, rpc, signer)
    return { pegIn, evm, pegOut }
  } finally {
    provider.destroy()
  }
}

/** Burns for a Bitcoin address of the wallet and follows that to its booking, as the journey does at its end. */
export async function payOut(options: JourneyOptions): Promise<JourneyResult['pegOut']> {
  const [account] = developmentAccounts()
  if (account === undefined) throw new Error('there is no development account')
  const provider = new WalletProvider(options.rpcUrls)
  const signer = new NonceManager(new Wallet(account.privateKey, provider))
  try {
    return await withdraw(options, createNodeRpc(...options.rpcUrls), signer)
  } finally {
    provider.destroy()
  }
}

/** How long a wallet waits before it offers what is not in a block once more. */
const OFFER_MS = 4_000

/**
 * What a wallet has behind it: any of several nodes. A node may die with a transaction that it alone had in its pool, so that
 * everything is offered again until it is in a block.
 */
class WalletProvider extends JsonRpcProvider {
  readonly #post: (body: unknown) => Promise<unknown>
  /** By hash, what no receipt was seen of. */
  readonly #open = new Map<string, string>()
  readonly #offers: NodeJS.Timeout

  constructor(urls: readonly [string, ...string[]]) {
    super(urls[0], undefined, { pollingInterval: 250, staticNetwork: true, batchMaxCount: 1 })
    this.#post = createPost(urls)
    this.#offers = setInterval(() => void this.#offer(), OFFER_MS)
  }

  override destroy(): void {
    clearInterval(this.#offers)
    super.destroy()
  }

  override async _send(given: JsonRpcPayload | JsonRpcPayload[]): Promise<JsonRpcResult[]> {
    const payloads = Array.isArray(given) ? given : [given]
    const answers = await Promise.all(payloads.map((payload) => this.#answer(payload)))
    // The base class reads errors out of it too; its type does not say so.
    return answers as JsonRpcResult[]
  }

  async #answer(payload: JsonRpcPayload): Promise<JsonRpcResult | JsonRpcError> {
    const { method, params, id } = payload
    const [raw] = params as readonly unknown[]
    if (method !== 'eth_sendRawTransaction' || typeof raw !== 'string') {
      return (await this.#post(payload)) as JsonRpcResult | JsonRpcError
    }
    const hash = keccak256(raw)
    const answer = (await this.#post(payload)) as JsonRpcResult | JsonRpcError
    if ('error' in answer && !(await this.#isTaken(answer, hash))) return answer
    this.#open.set(hash, raw)
    return { id, result: hash }
  }

  /** A node that died under the call may have passed it on: then the next one has it in its pool, or in a block. */
  async #isTaken({ error }: JsonRpcError, hash: string): Promise<boolean> {
    const { code } = (error.data ?? {}) as { readonly code?: unknown }
    if (code === 'AlreadyKnown') return true
    return code === 'NonceTooLow' && (await this.#isIncluded(hash))
  }

  async #isIncluded(hash: string): Promise<boolean> {
    return (await this.send('eth_getTransactionReceipt', [hash])) !== null
  }

  async #offer(): Promise<void> {
    for (const [hash, raw] of this.#open) {
      try {
        if (await this.#isIncluded(hash)) {
          this.#open.delete(hash)
        } else {
          await this.#post({
            jsonrpc: '2.0',
            id: 0,
            method: 'eth_sendRawTransaction',
            params: [raw],
          })
        }
      } catch {
        // No node answers at the moment; the next turn asks again.
      }
    }
  }
}

/** Pays the account's own deposit address and follows the deposit to its mint. */
export async function deposit(
  { wallet, terminal }: JourneyOptions,
  rpc: NodeRpc,
  evmAddress: string,
  amountSat: bigint,
): Promise<JourneyResult['pegIn']> {
  const target = await rpc.call<{ address: string }>('getdepositaddress', [evmAddress])
  const script = scriptFromAddress(target.address, 'regtest')
  if (!script.ok) throw new Error(`the node gave no address of regtest: ${target.address}`)
  const txid = await wallet.pay([{ scriptPubKey: script.value, amountSat }])
  const outpoint = `${txid}:0`
  terminal.step('deposit sent', `${bitcoinText(amountSat)} to ${target.address.slice(0, 20)}…`)
  terminal.note(`an address of one's own: whoever pays it pays ${evmAddress.slice(0, 12)}…`)
  terminal.note(`Bitcoin ${outpoint}`)
  const minted = await follow(rpc, outpoint, terminal, (status) => {
    if (status.refundable === true) throw new Error(`the deposit ${outpoint} was not credited`)
    return status.step === 'Included' && status.next === undefined
  })
  terminal.step('minted', `in block ${minted.height}, as a withdrawal (EIP-4895)`)
  return { outpoint, amountSat: String(amountSat), block: minted.height ?? 0 }
}

async function shareOut(signer: NonceManager, terminal: Terminal): Promise<void> {
  const others = developmentAccounts().slice(1)
  const sent = []
  for (const { address } of others) {
    sent.push(await signer.sendTransaction({ to: address, value: SHARE }))
  }
  await Promise.all(sent.map((transaction) => transaction.wait(1, STEP_MS)))
  terminal.step('accounts funded', `the ${others.length + 1} accounts of the test mnemonic`)
}

async function useToken(signer: NonceManager, terminal: Terminal): Promise<JourneyResult['evm']> {
  const { abi, bytecode } = tokenArtifacts.DevelopmentToken
  const factory = new ContractFactory(abi, bytecode, signer)
  const token = await factory.deploy(parseEther('1000000'))
  await token.waitForDeployment()
  const contract = await token.getAddress()
  terminal.step('ERC-20 deployed', contract)
  const [, second] = developmentAccounts()
  const recipient = second?.address ?? BRIDGE_ADDRESS
  const usable = new Contract(contract, abi, signer)
  const transfer = await usable.getFunction('transfer')(recipient, parseEther('25'))
  await transfer.wait(1, STEP_MS)
  const balance: bigint = await usable.getFunction('balanceOf')(recipient)
  if (balance < parseEther('25')) throw new Error('the token transfer had no effect')
  terminal.step('ERC-20 used', `25 MILL to ${recipient.slice(0, 12)}…`)
  return { txHash: transfer.hash, contract }
}

/** Burns through the Bridge contract and follows the request to its booking. */
async function withdraw(
  { wallet, terminal }: JourneyOptions,
  rpc: NodeRpc,
  signer: NonceManager,
): Promise<JourneyResult['pegOut']> {
  const bridge = new Contract(BRIDGE_ADDRESS, BRIDGE_ABI, signer)
  const destination = new TextEncoder().encode(wallet.address)
  const burn = await bridge.getFunction('requestPegOut')(destination, {
    value: PAYOUT_SAT * WEI_PER_SAT,
  })
  await burn.wait(1, STEP_MS)
  terminal.step('burned', `${bitcoinText(PAYOUT_SAT)} by requestPegOut(bytes)`)
  terminal.note(`EVM ${burn.hash}`)
  const request = await until('the burn as a request', STEP_MS, () =>
    rpc.call<PegStatus>('millrace_pegStatus', [burn.hash]),
  )
  const booked = await follow(rpc, request.id, terminal, (status) => status.step === 'Booked')
  terminal.step('booked', `paid by Bitcoin ${booked.txid?.slice(0, 16)}…, fee ${booked.feeSat} sat`)
  return {
    id: request.id,
    txid: booked.txid ?? '',
    amountSat: booked.amountSat,
    feeSat: booked.feeSat ?? '0',
  }
}

/** Prints each step of an operation once; ends when `isDone`. */
async function follow(
  rpc: NodeRpc,
  id: string,
  terminal: Terminal,
  isDone: (status: PegStatus) => boolean,
): Promise<PegStatus> {
  let shown = ''
  return until(
    `the end of ${id}`,
    2 * STEP_MS,
    async () => {
      const status = await rpc.call<PegStatus>('millrace_pegStatus', [id])
      if (isDone(status)) return status
      if (status.step !== shown) {
        shown = status.step
        terminal.step(
          stepText(status.step),
          status.txid === undefined ? '' : `Bitcoin ${status.txid}`,
        )
      }
      return undefined
    },
    200,
  )
}

const STEP_TEXTS: Readonly<Record<string, string>> = {
  Confirming: 'confirming',
  AwaitingApproval: 'members check it',
  Approved: 'approved by members',
  Included: 'in the ledger',
  Committed: 'burn committed',
  Batched: 'batch recorded',
  CollectingSignatures: 'members sign',
  Broadcast: 'broadcast',
  Confirmed: 'confirmed',
}

function stepText(step: string): string {
  return STEP_TEXTS[step] ?? step
}

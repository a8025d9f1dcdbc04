/**
 * A user's Bitcoin wallet on a development regtest: one p2wpkh key, coins found by scantxoutset, transactions built and signed here
 * with bitcoinjs-lib. The node sees nothing of it but transactions.
 */
import { createHash } from 'node:crypto'
import { networks, Psbt, payments, type Transaction } from 'bitcoinjs-lib'
import * as curve from 'tiny-secp256k1'
import type { BitcoinRpc } from '../node/adapters/bitcoin-rpc/index.ts'

const COINBASE_MATURITY = 100
/** Virtual bytes of a p2wpkh input, of an output at most, and of the rest. */
const INPUT_VBYTES = 68n
const OUTPUT_VBYTES = 43n
const OVERHEAD_VBYTES = 11n

export interface WalletOutput {
  readonly scriptPubKey: Uint8Array
  readonly amountSat: bigint
}

interface Coin {
  readonly txid: string
  readonly vout: number
  readonly amountSat: bigint
  readonly height: number
}

interface ScanResult {
  readonly height: number
  readonly unspents: readonly {
    readonly txid: string
    readonly vout: number
    readonly amount: number
    readonly height: number
    readonly coinbase?: boolean
  }[]
}

export class DevelopmentWallet {
  readonly #rpc: Pick<BitcoinRpc, 'call'>
  readonly #secretKey: Uint8Array
  readonly #publicKey: Uint8Array
  readonly address: string
  readonly scriptPubKey: Uint8Array
  /** Coins that a transaction of ours spends and that scantxoutset still shows. */
  readonly #spent = new Set<string>()

  constructor(rpc: Pick<BitcoinRpc, 'call'>, secretKey: Uint8Array) {
    this.#rpc = rpc
    this.#secretKey = secretKey
    this.#publicKey = curve.pointFromScalar(secretKey, true) as Uint8Array
    const payment = payments.p2wpkh({ pubkey: this.#publicKey, network: networks.regtest })
    this.address = payment.address as string
    this.scriptPubKey = payment.output as Uint8Array
  }

  /** Coins that can be spent in the next block. */
  async coins(): Promise<Coin[]> {
    const scanned = await this.#call<ScanResult>('scantxoutset', [
      'start',
      [`addr(${this.address})`],
    ])
    return scanned.unspents
      .filter(({ txid, vout, height, coinbase }) => {
        const mature = coinbase === false || scanned.height - height + 1 > COINBASE_MATURITY
        return mature && !this.#spent.has(`${txid}:${vout}`)
      })
      .map(({ txid, vout, amount, height }) => ({
        txid,
        vout,
        amountSat: BigInt(Math.round(amount * 1e8)),
        height,
      }))
      .sort((left, right) => left.height - right.height)
  }

  async balanceSat(): Promise<bigint> {
    return (await this.coins()).reduce((sum, coin) => sum + coin.amountSat, 0n)
  }

  /** Pays the outputs in this order, change to the wallet; the txid in display form. Throws when the coins do not suffice. */
  async pay(outputs: readonly WalletOutput[], feeRateSatPerVbyte = 2n): Promise<string> {
    const transaction = await this.sign(outputs, feeRateSatPerVbyte)
    return this.#call<string>('sendrawtransaction', [transaction.toHex()])
  }

  /** The signed transaction that pays the outputs; its coins are not used again. */
  async sign(outputs: readonly WalletOutput[], feeRateSatPerVbyte = 2n): Promise<Transaction> {
    const wantedSat = outputs.reduce((sum, output) => sum + output.amountSat, 0n)
    const chosen: Coin[] = []
    let sumSat = 0n
    const feeSat = () =>
      feeRateSatPerVbyte *
      (OVERHEAD_VBYTES +
        INPUT_VBYTES * BigInt(chosen.length) +
        OUTPUT_VBYTES * BigInt(outputs.length + 1))
    for (const coin of await this.coins()) {
      if (sumSat >= wantedSat + feeSat()) break
      chosen.push(coin)
      sumSat += coin.amountSat
    }
    const changeSat = sumSat - wantedSat - feeSat()
    if (changeSat < 0n) throw new Error(`the wallet holds ${sumSat} sat of ${wantedSat + feeSat()}`)
    const psbt = new Psbt({ network: networks.regtest })
    for (const coin of chosen) {
      psbt.addInput({
        hash: coin.txid,
        index: coin.vout,
        witnessUtxo: { script: this.scriptPubKey, value: coin.amountSat },
      })
    }
    for (const { scriptPubKey, amountSat } of outputs) {
      psbt.addOutput({ script: scriptPubKey, value: amountSat })
    }
    if (changeSat >= 546n) psbt.addOutput({ script: this.scriptPubKey, value: changeSat })
    psbt.signAllInputs({
      publicKey: this.#publicKey,
      sign: (hash) => curve.sign(hash, this.#secretKey),
    })
    psbt.finalizeAllInputs()
    for (const { txid, vout } of chosen) this.#spent.add(`${txid}:${vout}`)
    return psbt.extractTransaction()
  }

  async #call<T>(method: string, params: readonly unknown[]): Promise<T> {
    const result = await this.#rpc.call(method, [...params])
    if (!result.ok) throw new Error(`Bitcoin: ${method}: ${result.error.message}`)
    return result.value as T
  }
}

/** A wallet key out of a name: development keys are public. */
export function developmentKey(name: string): Uint8Array {
  return new Uint8Array(createHash('sha256').update(`millrace development ${name}`).digest())
}

/** One suite over the Bitcoin RPC client: the development regtest and Bitcoin Core must answer alike. */
import { Block, Transaction } from 'bitcoinjs-lib'
import { startBitcoinRegtest } from '../../devnet/bitcoin/index.ts'
import {
  type BitcoinResult,
  type BitcoinRpc,
  createBitcoinRpc,
} from '../../node/adapters/bitcoin-rpc/index.ts'
import {
  addressOf,
  type Coin,
  hexOf,
  keyHashScript,
  keyPathScript,
  leafOutput,
  leafSignature,
  secretKey,
  signKeyPath,
  spendKeyHash,
  thresholdLeaf,
  unsigned,
  xOnly,
} from '../unit/devnet/bitcoin/wallet.ts'
import { type Backend, startCore } from './bitcoin-core.ts'

const GENESIS = '0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206'
const UNKNOWN = '11'.repeat(32)
const TIMEOUT_MS = 20_000

async function startOurs(): Promise<Backend> {
  const started = await startBitcoinRegtest({
    port: 0,
    host: '127.0.0.1',
    user: 'user',
    password: 'p@ss:word',
    now: () => Date.now(),
    log: () => {},
  })
  if (!started.ok) throw new Error(started.error.code)
  return started.value
}

async function value<T>(result: Promise<BitcoinResult<T>>): Promise<T> {
  const settled = await result
  if (!settled.ok) throw new Error(`${settled.error.rpcCode} ${settled.error.message}`)
  return settled.value
}

async function refusal(result: Promise<BitcoinResult<unknown>>): Promise<string> {
  const settled = await result
  if (settled.ok) throw new Error(`unexpected answer ${JSON.stringify(settled.value)}`)
  return `${settled.error.code} ${settled.error.rpcCode} ${settled.error.message}`
}

function compliance(name: string, start: () => Promise<Backend>): void {
  describe(`Bitcoin RPC: ${name}`, () => {
    const alice = secretKey(1)
    const script = keyHashScript(alice)
    let backend: Backend
    let rpc: BitcoinRpc
    const coins: Coin[] = []

    /** A mature coinbase output of alice's, each given out once. */
    const takeCoin = (): Coin => {
      const coin = coins.shift()
      if (coin === undefined) throw new Error('no coin left')
      return coin
    }
    const mine = (blocks = 1) => value(rpc.generateToAddress(blocks, addressOf(script)))
    const send = (tx: Transaction) => rpc.sendRawTransaction(tx.toBuffer())
    const verdict = async (tx: Transaction) =>
      (await value(rpc.testMempoolAccept([tx.toBuffer()])))[0]
    const payBack = (coin: Coin, feeSat = 1_000n) => [
      { script, amountSat: coin.amountSat - feeSat },
    ]
    /** Pays to a script, confirms it and gives the coin. */
    const fund = async (to: Uint8Array, amountSat = 100_000_000n): Promise<Coin> => {
      const coin = takeCoin()
      const tx = spendKeyHash(coin, alice, [
        { script: to, amountSat },
        ...payBack(coin, amountSat + 1_000n),
      ])
      const txid = await value(send(tx))
      await mine()
      return { txid, vout: 0, amountSat, script: to }
    }

    beforeAll(async () => {
      backend = await start()
      rpc = createBitcoinRpc({ url: backend.url, timeoutMs: TIMEOUT_MS })
      for (const blockHash of await mine(120)) {
        const block = await value(rpc.getBlock(blockHash))
        if (block.height > 20) continue
        const txid = block.txids[0] ?? ''
        coins.push({ txid, vout: 0, amountSat: 5_000_000_000n, script })
      }
    })
    afterAll(async () => {
      rpc.close()
      await backend.stop()
    })

    it('starts from the regtest genesis block', async () => {
      expect(await value(rpc.getBlockHash(0))).toBe(GENESIS)
      const header = await value(rpc.getBlockHeader(GENESIS))
      expect(header).toMatchObject({ height: 0, time: 1296688602, bits: 0x207fffff, nonce: 2 })
      expect(header.previousBlockHash).toBeUndefined()
      expect(hexOf(await value(rpc.getBlockHeaderRaw(GENESIS)))).toMatch(/^01000000.*02000000$/)
      expect(Block.fromBuffer(await value(rpc.getBlockRaw(GENESIS))).getId()).toBe(GENESIS)
    })

    it('tells its chain, tip and network', async () => {
      const info = await value(rpc.getBlockchainInfo())
      expect(info).toMatchObject({ chain: 'regtest', pruned: false })
      expect(info.blocks).toBe(await value(rpc.getBlockCount()))
      expect(info.bestBlockHash).toBe(await value(rpc.getBestBlockHash()))
      expect(info.chainWork).toBe(BigInt(info.blocks + 1) * 2n)
      const network = await value(rpc.getNetworkInfo())
      expect(network.version).toBeGreaterThanOrEqual(260_000)
      expect(network.relayFeeSatPerKvb).toBe(1_000n)
    })

    it('refuses heights, blocks and methods that do not exist with Core’s codes', async () => {
      expect(await refusal(rpc.getBlockHash(1_000_000))).toBe(
        'BitcoinRpcError -8 Block height out of range',
      )
      expect(await refusal(rpc.getBlockHeader(UNKNOWN))).toBe('BitcoinRpcError -5 Block not found')
      expect(await refusal(rpc.getBlock('zz'))).toBe(
        "BitcoinRpcError -8 blockhash must be of length 64 (not 2, for 'zz')",
      )
      expect(await refusal(rpc.call('nosuchmethod'))).toBe(
        'BitcoinRpcError -32601 Method not found',
      )
      expect(await refusal(rpc.call('getblockhash', ['x']))).toMatch(/^BitcoinRpcError -3 /)
      expect(await refusal(rpc.call('getblockhash', []))).toMatch(/^BitcoinRpcError -1 /)
      expect(await refusal(rpc.getMempoolEntry(UNKNOWN))).toBe(
        'BitcoinRpcError -5 Transaction not in mempool',
      )
      expect(await refusal(rpc.getRawTransaction(UNKNOWN))).toMatch(
        /^BitcoinRpcError -5 No such mempool/,
      )
      expect(await refusal(rpc.generateToAddress(1, 'nonsense'))).toBe(
        'BitcoinRpcError -5 Error: Invalid address',
      )
    })

    it('refuses wrong credentials', async () => {
      const { host } = new URL(backend.url)
      const stranger = createBitcoinRpc({ url: `http://user:wrong@${host}`, timeoutMs: TIMEOUT_MS })
      expect(await refusal(stranger.getBlockCount())).toMatch(/^BitcoinRpcError undefined user or/)
      stranger.close()
    })

    it('takes a p2wpkh spend into the mempool and the next block, with its fee', async () => {
      const coin = takeCoin()
      const tx = spendKeyHash(coin, alice, payBack(coin, 2_345n))
      expect(await verdict(tx)).toMatchObject({
        allowed: true,
        vsize: tx.virtualSize(),
        feeSat: 2_345n,
      })
      const txid = await value(send(tx))
      expect(txid).toBe(tx.getId())
      expect(await value(send(tx))).toBe(txid)
      expect(await value(rpc.getRawMempool())).toEqual([txid])
      const entry = await value(rpc.getMempoolEntry(txid))
      expect(entry).toMatchObject({
        feeSat: 2_345n,
        ancestorCount: 1,
        depends: [],
        replaceable: true,
      })
      expect((await value(rpc.getRawTransaction(txid))).raw).toEqual(Uint8Array.from(tx.toBuffer()))
      expect(await value(rpc.getTxOut(txid, 0))).toMatchObject({ confirmations: 0 })
      expect(await value(rpc.getTxOut(txid, 0, false))).toBeNull()
      expect(await value(rpc.getTxOut(coin.txid, 0))).toBeNull()
      const [blockHash = ''] = await mine()
      expect(await value(rpc.getRawMempool())).toEqual([])
      const block = await value(rpc.getBlockWithTransactions(blockHash))
      expect(block.transactions[1]).toMatchObject({ txid, feeSat: 2_345n })
      expect(block.transactions[0]?.outputs[0]?.amountSat).toBe(5_000_002_345n)
      expect(await value(rpc.getTxOut(txid, 0))).toMatchObject({
        confirmations: 1,
        amountSat: coin.amountSat - 2_345n,
        script,
        coinbase: false,
      })
      expect(await refusal(rpc.getRawTransaction(txid))).toMatch(
        /^BitcoinRpcError -5 No such mempool/,
      )
      const confirmed = await value(rpc.getRawTransaction(txid, blockHash))
      expect(confirmed).toMatchObject({ txid, blockHash, confirmations: 1 })
      expect(await refusal(send(tx))).toBe('BitcoinRpcError -27 Transaction already in block chain')
    })

    it('refuses a coinbase below 100 confirmations', async () => {
      const height = (await value(rpc.getBlockCount())) - 98
      const block = await value(rpc.getBlockWithTransactions(await value(rpc.getBlockHash(height))))
      const coinbase = block.transactions[0]
      const coin: Coin = {
        txid: coinbase?.txid ?? '',
        vout: 0,
        amountSat: coinbase?.outputs[0]?.amountSat ?? 0n,
        script,
      }
      const tx = spendKeyHash(coin, alice, payBack(coin))
      expect(await refusal(send(tx))).toBe(
        'BitcoinRpcError -26 bad-txns-premature-spend-of-coinbase, tried to spend coinbase at depth 99',
      )
      await mine()
      expect((await verdict(tx))?.allowed).toBe(true)
    })

    it('refuses what does not decode, is not signed, spends nothing or too much', async () => {
      const coin = takeCoin()
      expect(await refusal(rpc.sendRawTransaction(Uint8Array.of(1, 2, 3)))).toMatch(
        /^BitcoinRpcError -22 TX decode/,
      )
      const forged = spendKeyHash(coin, alice, payBack(coin))
      forged.outs[0]!.value -= 1n
      expect(await refusal(send(forged))).toBe(
        'BitcoinRpcError -26 mandatory-script-verify-flag-failed (Signature must be zero for failed CHECK(MULTI)SIG operation)',
      )
      const stranger = spendKeyHash(coin, secretKey(2), payBack(coin))
      expect(await refusal(send(stranger))).toMatch(/^BitcoinRpcError -26 mandatory-script-verify/)
      const missing = { ...coin, txid: UNKNOWN }
      expect(await refusal(send(spendKeyHash(missing, alice, payBack(coin))))).toBe(
        'BitcoinRpcError -25 bad-txns-inputs-missingorspent',
      )
      expect((await verdict(spendKeyHash(missing, alice, payBack(coin))))?.rejectReason).toBe(
        'missing-inputs',
      )
      expect(await refusal(send(spendKeyHash(coin, alice, payBack(coin, -1n))))).toBe(
        'BitcoinRpcError -26 bad-txns-in-belowout, value in (50.00) < value out (50.00000001)',
      )
      expect(await refusal(send(spendKeyHash(coin, alice, payBack(coin, 1n))))).toMatch(
        /^BitcoinRpcError -26 min relay fee not met, 1 < 1(09|10)$/,
      )
      expect(await refusal(send(spendKeyHash(coin, alice, payBack(coin, 100_000_000n))))).toMatch(
        /^BitcoinRpcError -25 Fee exceeds maximum/,
      )
      expect(await refusal(send(spendKeyHash(coin, alice, [{ script, amountSat: 293n }])))).toMatch(
        /^BitcoinRpcError -26 dust|^BitcoinRpcError -25 Fee/,
      )
      coins.push(coin)
    })

    it('refuses a second spend: of the mempool’s coin if it is final, of a spent coin always', async () => {
      const coin = takeCoin()
      const first = spendKeyHash(coin, alice, payBack(coin), { sequence: 0xffffffff })
      const second = spendKeyHash(coin, alice, payBack(coin, 9_000n))
      await value(send(first))
      expect(await refusal(send(second))).toBe('BitcoinRpcError -26 txn-mempool-conflict')
      await mine()
      expect(await refusal(send(second))).toBe('BitcoinRpcError -25 bad-txns-inputs-missingorspent')
    })

    it('replaces a transaction that signals it by one that pays more, with its descendants', async () => {
      const coin = takeCoin()
      const first = spendKeyHash(coin, alice, payBack(coin))
      const txid = await value(send(first))
      const change: Coin = { txid, vout: 0, amountSat: coin.amountSat - 1_000n, script }
      const child = await value(send(spendKeyHash(change, alice, payBack(change))))
      expect((await value(rpc.getMempoolEntry(child))).depends).toEqual([txid])
      expect((await value(rpc.getMempoolEntry(txid))).descendantFeeSat).toBe(2_000n)
      expect(await refusal(send(spendKeyHash(coin, alice, payBack(coin, 1_100n))))).toMatch(
        /^BitcoinRpcError -26 insufficient fee, rejecting replacement [0-9a-f]{64}, less fees than conflicting txs; 0\.000011 < 0\.00002$/,
      )
      expect(await refusal(send(spendKeyHash(coin, alice, payBack(coin, 2_001n))))).toMatch(
        /not enough additional fees to relay; 0\.00000001 < 0\.000001(09|1)$/,
      )
      const better = await value(send(spendKeyHash(coin, alice, payBack(coin, 3_000n))))
      expect(await value(rpc.getRawMempool())).toEqual([better])
      await mine()
    })

    it('spends a taproot output by its key path, and only with the right key', async () => {
      const owner = secretKey(7)
      const coin = await fund(keyPathScript(owner))
      const tx = unsigned([coin], payBack(coin))
      signKeyPath(tx, 0, [coin], secretKey(8))
      expect(await refusal(send(tx))).toBe(
        'BitcoinRpcError -26 mandatory-script-verify-flag-failed (Invalid Schnorr signature)',
      )
      signKeyPath(tx, 0, [coin], owner)
      await value(send(tx))
      await mine()
    })

    it('spends a CHECKSIGADD leaf with exactly t signatures, not with t − 1 and not with t + 1', async () => {
      const members = [11, 12, 13, 14].map(secretKey)
      const output = leafOutput(xOnly(secretKey(99)), thresholdLeaf(members.map(xOnly), 3))
      const coin = await fund(output.script)
      const tx = unsigned([coin], payBack(coin))
      const signers = (count: number) => {
        const items = members.map((member, index) =>
          index < count ? leafSignature(tx, 0, [coin], output.leaf, member) : new Uint8Array(),
        )
        tx.setWitness(0, [...items.reverse(), output.leaf, output.control])
      }
      signers(2)
      expect(await refusal(send(tx))).toMatch(/-26 mandatory.*false\/empty top stack element\)$/)
      signers(4)
      expect(await refusal(send(tx))).toMatch(/-26 mandatory.*false\/empty top stack element\)$/)
      signers(3)
      tx.ins[0]!.witness[2]![5]! ^= 1
      expect(await refusal(send(tx))).toMatch(/\(Invalid Schnorr signature\)$/)
      signers(3)
      const wrongControl = tx.ins[0]!.witness.slice(0, -1)
      tx.setWitness(0, [...wrongControl, output.control.with(0, output.control[0]! ^ 1)])
      expect(await refusal(send(tx))).toMatch(/\(Witness program hash mismatch\)$/)
      signers(3)
      const txid = await value(send(tx))
      const [blockHash = ''] = await mine()
      expect((await value(rpc.getBlock(blockHash))).txids).toContain(txid)
    })

    it('holds a CHECKSEQUENCEVERIFY leaf back until its blocks have passed', async () => {
      const owner = secretKey(21)
      const leaf = thresholdLeaf([xOnly(owner)], 1, Uint8Array.of(0x54, 0xb2, 0x75))
      const output = leafOutput(xOnly(secretKey(99)), leaf)
      const coin = await fund(output.script)
      const spend = (sequence: number, version = 2) => {
        const tx = unsigned([coin], payBack(coin), { sequence, version })
        const signature = leafSignature(tx, 0, [coin], leaf, owner)
        tx.setWitness(0, [signature, leaf, output.control])
        return tx
      }
      await mine(2)
      expect(await refusal(send(spend(4)))).toBe('BitcoinRpcError -26 non-BIP68-final')
      expect(await refusal(send(spend(3)))).toMatch(/\(Locktime requirement not satisfied\)$/)
      await mine(1)
      expect(await refusal(send(spend(4, 1)))).toMatch(/\(Locktime requirement not satisfied\)$/)
      await value(send(spend(4)))
      await mine()
    })

    it('keeps a locked transaction out until its height', async () => {
      const coin = takeCoin()
      const height = await value(rpc.getBlockCount())
      const tx = spendKeyHash(coin, alice, payBack(coin), { locktime: height + 1 })
      expect(await refusal(send(tx))).toBe('BitcoinRpcError -26 non-final')
      await mine()
      await value(send(tx))
      await mine()
    })

    it('finds unspent outputs by address and by script, to the satoshi', async () => {
      const target = keyPathScript(secretKey(31))
      const [first, second] = [await fund(target, 12_345_678n), await fund(target, 100_000_001n)]
      for (const descriptor of [`addr(${addressOf(target)})`, `raw(${hexOf(target)})`]) {
        const scan = await value(rpc.scanTxOutSet([descriptor]))
        expect(scan).toMatchObject({ success: true, totalSat: 112_345_679n })
        expect(scan.unspents.map(({ txid }) => txid).sort()).toEqual(
          [first.txid, second.txid].sort(),
        )
        expect(scan.unspents.every((found) => hexOf(found.script) === hexOf(target))).toBe(true)
        expect(scan.bestBlockHash).toBe(await value(rpc.getBestBlockHash()))
      }
      expect(await refusal(rpc.scanTxOutSet(['addr(nonsense)']))).toMatch(/^BitcoinRpcError -5 /)
    })

    it('proves a transaction against the header’s Merkle root', async () => {
      const spends = [takeCoin(), takeCoin(), takeCoin()].map((coin) =>
        spendKeyHash(coin, alice, payBack(coin)),
      )
      for (const tx of spends) await value(send(tx))
      const [blockHash = ''] = await mine()
      for (const tx of spends) {
        const proof = await value(rpc.getTxOutProof([tx.getId()], blockHash))
        expect(proof.slice(0, 80)).toEqual(await value(rpc.getBlockHeaderRaw(blockHash)))
        expect(proof).toEqual(await value(rpc.getTxOutProof([tx.getId()])))
        expect(await value(rpc.call('verifytxoutproof', [hexOf(proof)]))).toEqual([tx.getId()])
      }
      expect(await refusal(rpc.getTxOutProof([UNKNOWN]))).toBe(
        'BitcoinRpcError -5 Transaction not yet in block',
      )
      expect(await refusal(rpc.getTxOutProof([UNKNOWN], blockHash))).toMatch(
        /-5 Not all transactions/,
      )
    })

    it('estimates no fee on a regtest', async () => {
      const estimate = await value(rpc.estimateSmartFee(2, 'economical'))
      expect(estimate.feeRateSatPerKvb).toBeUndefined()
      expect(estimate.errors).toEqual(['Insufficient data or no feerate found'])
    })

    it('gives a template from which a valid block can be built and submitted', async () => {
      const coin = takeCoin()
      await value(send(spendKeyHash(coin, alice, payBack(coin))))
      const template = await value(rpc.getBlockTemplate())
      expect(template.transactions).toHaveLength(1)
      const block = blockFrom(template, script)
      expect(await value(rpc.submitBlock(block.toBuffer()))).toBeNull()
      expect(await value(rpc.getBestBlockHash())).toBe(block.getId())
      expect(await value(rpc.submitBlock(block.toBuffer()))).toBe('duplicate')
      expect(await value(rpc.getRawMempool())).toEqual([])
      expect(await refusal(rpc.submitBlock(Uint8Array.of(1)))).toBe(
        'BitcoinRpcError -22 Block decode failed',
      )
    })

    it('names what is wrong with a submitted block', async () => {
      const template = await value(rpc.getBlockTemplate())
      const greedy = blockFrom({ ...template, coinbaseSat: template.coinbaseSat + 1n }, script)
      expect(await value(rpc.submitBlock(greedy.toBuffer()))).toBe('bad-cb-amount')
      const orphan = blockFrom({ ...template, previousBlockHash: UNKNOWN }, script)
      expect(await value(rpc.submitBlock(orphan.toBuffer()))).toBe('prev-blk-not-found')
      const early = blockFrom({ ...template, currentTime: template.minTime - 1 }, script)
      expect(await value(rpc.submitBlock(early.toBuffer()))).toBe('time-too-old')
      const high = blockFrom({ ...template, height: template.height + 1 }, script)
      expect(await value(rpc.submitBlock(high.toBuffer()))).toBe('bad-cb-height')
      const mutated = blockFrom(template, script)
      mutated.merkleRoot = new Uint8Array(32)
      solve(mutated)
      expect(await value(rpc.submitBlock(mutated.toBuffer()))).toBe('bad-txnmrklroot')
    })

    it('returns to the mempool what an invalidated block held, and mines it again', async () => {
      const coin = takeCoin()
      const txid = await value(send(spendKeyHash(coin, alice, payBack(coin))))
      const before = await value(rpc.getBestBlockHash())
      const [blockHash = ''] = await mine()
      await value(rpc.invalidateBlock(blockHash))
      expect(await value(rpc.getBestBlockHash())).toBe(before)
      expect(await value(rpc.getRawMempool())).toEqual([txid])
      expect(await value(rpc.getTxOut(txid, 0, false))).toBeNull()
      expect((await value(rpc.getBlockHeader(blockHash))).confirmations).toBe(-1)
      const other = addressOf(keyHashScript(secretKey(3)))
      const [again = ''] = await value(rpc.generateToAddress(1, other))
      expect(again).not.toBe(blockHash)
      expect((await value(rpc.getBlock(again))).txids).toContain(txid)
    })

    it('follows a longer branch that was submitted, and restores coins and mempool', async () => {
      const coin = takeCoin()
      const fork = await value(rpc.getBlockTemplate())
      const txid = await value(send(spendKeyHash(coin, alice, payBack(coin))))
      const [left = ''] = await mine()
      const first = blockFrom(fork, keyHashScript(secretKey(4)))
      expect(await value(rpc.submitBlock(first.toBuffer()))).toBe('inconclusive')
      expect(await value(rpc.getBestBlockHash())).toBe(left)
      const second = blockFrom(
        {
          ...fork,
          previousBlockHash: first.getId(),
          height: fork.height + 1,
          currentTime: fork.currentTime + 1,
        },
        script,
      )
      expect(await value(rpc.submitBlock(second.toBuffer()))).toBeNull()
      expect(await value(rpc.getBestBlockHash())).toBe(second.getId())
      expect((await value(rpc.getBlockHeader(left))).confirmations).toBe(-1)
      expect(await value(rpc.getTxOut(coin.txid, 0, false))).not.toBeNull()
      expect(await value(rpc.getRawMempool())).toEqual([txid])
      await mine()
      expect(await value(rpc.getTxOut(txid, 0))).toMatchObject({ confirmations: 1 })
    })
  })
}

interface Template {
  readonly version: number
  readonly previousBlockHash: string
  readonly transactions: readonly { readonly raw: Uint8Array }[]
  readonly coinbaseSat: bigint
  readonly currentTime: number
  readonly height: number
  readonly bits: number
  readonly witnessCommitmentScript: Uint8Array | undefined
}

/** A solved block of a template, as a miner builds it. */
function blockFrom(template: Template, payTo: Uint8Array): Block {
  const coinbase = new Transaction()
  coinbase.version = 2
  const digits = template.height.toString(16).padStart(4, '0')
  const push = Uint8Array.from(Buffer.from(digits, 'hex').reverse())
  const padded = (push.at(-1) ?? 0) >= 0x80 ? Uint8Array.of(...push, 0) : trimmed(push)
  const script = Uint8Array.of(padded.length, ...padded, 0)
  coinbase.addInput(new Uint8Array(32), 0xffffffff, 0xffffffff, script)
  coinbase.addOutput(payTo, template.coinbaseSat)
  const transactions = template.transactions.map(({ raw }) => Transaction.fromBuffer(raw))
  if (template.witnessCommitmentScript !== undefined) {
    coinbase.addOutput(template.witnessCommitmentScript, 0n)
    coinbase.setWitness(0, [new Uint8Array(32)])
  }
  const block = new Block()
  block.version = template.version
  block.prevHash = Uint8Array.from(Buffer.from(template.previousBlockHash, 'hex').reverse())
  block.timestamp = template.currentTime
  block.bits = template.bits
  block.transactions = [coinbase, ...transactions]
  block.merkleRoot = Block.calculateMerkleRoot(block.transactions)
  solve(block)
  return block
}

function trimmed(push: Uint8Array): Uint8Array {
  return push.at(-1) === 0 && (push.at(-2) ?? 0) < 0x80 ? push.slice(0, -1) : push
}

function solve(block: Block): void {
  while (!block.checkProofOfWork()) block.nonce += 1
}

compliance('development regtest', startOurs)

const core = process.env['BITCOIND']
if (core === undefined) {
  describe('Bitcoin RPC: bitcoind', () => {
    it.skip('answers alike (BITCOIND names no binary)', () => {})
  })
} else {
  compliance('bitcoind', () => startCore(core))
}

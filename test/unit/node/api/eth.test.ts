import { AbiCoder, concat } from 'ethers'
import type { CommittedBlock } from '../../../../core/block/index.ts'
import { hexBytes, toHex } from '../../../../crypto/index.ts'
import type { PoolStanding } from '../../../../node/api/index.ts'
import type { CallRequest } from '../../../../vm/evm/index.ts'
import { startApi, type UnderTest } from './api-under-test.ts'
import { CONTRACT, decoded, SENDER, signedTransaction, TOPIC } from './fake-node.ts'

const hex = (bytes: Uint8Array) => `0x${toHex(bytes)}`
const ME = hex(SENDER)
const THERE = hex(CONTRACT)
const NOTHING = new Uint8Array(0)

describe('eth methods', () => {
  let api: UnderTest
  beforeEach(async () => {
    api = await startApi({ logBlocks: 10, filters: 2 })
  })
  afterEach(() => api.close())

  const codeOf = async (method: string, ...params: unknown[]) =>
    (await api.rpc(method, params)).error?.code

  it('protocol 3.4: latest, safe, finalized and pending are the committed head', async () => {
    const head = await api.result('eth_getBlockByNumber', '0x3', false)
    for (const tag of ['latest', 'safe', 'finalized', 'pending']) {
      expect(await api.result('eth_getBlockByNumber', tag, false)).toEqual(head)
    }
    expect(await api.result('eth_getBlockByNumber', 'earliest', false)).toMatchObject({
      number: '0x0',
    })
  })

  it('a block that is not there is null', async () => {
    expect(await api.result('eth_getBlockByNumber', '0x4', false)).toBeNull()
    expect(await api.result('eth_getBlockByHash', `0x${'00'.repeat(32)}`, true)).toBeNull()
    expect(await api.result('eth_getBlockReceipts', '0x4')).toBeNull()
    expect(await api.result('eth_getBlockTransactionCountByNumber', '0x4')).toBeNull()
    expect(await api.result('eth_getTransactionReceipt', `0x${'00'.repeat(32)}`)).toBeNull()
    expect(await api.result('eth_getTransactionByBlockNumberAndIndex', '0x2', '0x2')).toBeNull()
  })

  it('PR-3: what was pruned is said to be gone, never answered as if it had not been', async () => {
    api.node.chain.pruned.below = 2
    const logs = { fromBlock: '0x0', toBlock: '0x3' }
    for (const [method, ...params] of [
      ['eth_getBlockByNumber', '0x1', false],
      ['eth_getBlockReceipts', '0x1'],
      ['eth_getBlockTransactionCountByNumber', '0x1'],
      ['eth_getTransactionByBlockNumberAndIndex', '0x1', '0x0'],
      ['eth_getLogs', logs],
      ['eth_feeHistory', '0x4', 'latest', []],
      ['debug_traceBlockByNumber', '0x1'],
      ['debug_getRawHeader', '0x1'],
    ] as const) {
      expect([method, await codeOf(method, ...params)]).toEqual([method, 4444])
    }
    expect(await api.result('eth_getLogs', { ...logs, fromBlock: '0x2' })).toHaveLength(1)
    expect(await api.result('eth_getBlockByNumber', '0x9', false)).toBeNull()
  })

  it('a mined transaction is the same by hash, by number and index, and in its block', async () => {
    const block = (await api.result('eth_getBlockByNumber', '0x2', true)) as {
      hash: string
      transactions: { hash: string }[]
    }
    const [first, second] = block.transactions
    expect(await api.result('eth_getTransactionByHash', first?.hash)).toEqual(first)
    expect(await api.result('eth_getTransactionByBlockNumberAndIndex', '0x2', '0x1')).toEqual(
      second,
    )
    expect(await api.result('eth_getTransactionByBlockHashAndIndex', block.hash, '0x0')).toEqual(
      first,
    )
    expect(await api.result('eth_getBlockTransactionCountByHash', block.hash)).toBe('0x2')
    expect(first).toMatchObject({ from: ME, to: THERE, type: '0x0', gasPrice: '0x77359400' })
    expect(second).toMatchObject({
      to: null,
      type: '0x2',
      gasPrice: '0x77359400',
      yParity: expect.any(String),
    })
  })

  it('a pooled transaction has no block and counts for the pending nonce', async () => {
    const raw = signedTransaction({ type: 2, nonce: 2, to: CONTRACT })
    api.node.pooled.push(decoded(raw))
    const hash = hex(decoded(raw).hash)
    expect(await api.result('eth_getTransactionByHash', hash)).toMatchObject({
      hash,
      blockHash: null,
      transactionIndex: null,
    })
    expect(await api.result('eth_getTransactionCount', ME, 'latest')).toBe('0x2')
    expect(await api.result('eth_getTransactionCount', ME, 'pending')).toBe('0x3')
    expect(await api.result('txpool_status')).toEqual({ pending: '0x1', queued: '0x0' })
    expect(await api.result('txpool_content')).toMatchObject({ pending: { [ME]: { 2: { hash } } } })
  })

  it('state is that of the last blocks; an older one is said to be gone, never answered wrongly', async () => {
    expect(await api.result('eth_getBalance', ME, 'latest')).toBe('0xde0b6b3a7640000')
    expect(await api.result('eth_getBalance', ME)).toBe('0xde0b6b3a7640000')
    expect(await api.result('eth_getBalance', ME, { blockNumber: '0x3' })).toBe('0xde0b6b3a7640000')
    expect(await api.result('eth_getBalance', ME, '0x2')).toBe('0xde0b6b3a7640000')
    expect(await codeOf('eth_getBalance', ME, '0x1')).toBe(4444)
    expect(await codeOf('eth_getBalance', ME, 'earliest')).toBe(4444)
    expect(await codeOf('eth_call', {}, '0x1')).toBe(4444)
    expect(await codeOf('eth_getBalance', ME, '0x4')).toBe(-32001)
    expect(await codeOf('eth_getBalance', ME, `0x${'00'.repeat(32)}`)).toBe(-32001)
    expect(await api.result('eth_getStorageAt', THERE, '0x0')).toBe(`0x${'00'.repeat(32)}`)
    expect(await api.result('eth_getCode', THERE, 'latest')).toBe('0x6001')
  })

  it.each([
    ['eth_getBalance', ['0x12']],
    ['eth_getBalance', [`0x${'zz'.repeat(20)}`]],
    ['eth_getBalance', []],
    ['eth_getBalance', [`0x${'11'.repeat(20)}`, 'newest']],
    ['eth_getBlockByNumber', ['0x01', false]],
    ['eth_getBlockByNumber', ['3', false]],
    ['eth_getBlockByNumber', ['0x', false]],
    ['eth_getBlockByNumber', [3, false]],
    ['eth_getBlockByNumber', ['0xffffffffffffffff', false]],
    ['eth_getBlockByHash', ['0x12', false]],
    ['eth_chainId', [1]],
    ['eth_sendRawTransaction', ['0x']],
    ['eth_sendRawTransaction', ['0x123']],
    ['eth_call', [{ data: '0x01', input: '0x02' }]],
    ['eth_call', [{ gasPrice: '0x1', maxFeePerGas: '0x1' }]],
    ['eth_call', [{}, 'latest', { '0x11': {} }]],
    ['eth_call', [{}, 'latest', { [ME]: { state: {}, stateDiff: {} } }]],
    ['eth_call', [{}, 'latest', { [ME]: { movePrecompileToAddress: THERE } }]],
    ['eth_call', [{}, 'latest', { [ME]: { state: { '0xzz': '0x0' } } }]],
    ['eth_call', [{}, 'latest', {}, { number: '0x01' }]],
    ['debug_traceTransaction', [`0x${'11'.repeat(32)}`, { tracer: 'jsTracer' }]],
    ['eth_getLogs', [{ blockHash: `0x${'00'.repeat(32)}`, fromBlock: '0x1' }]],
    ['eth_getLogs', [{ topics: Array(5).fill(null) }]],
    ['eth_getLogs', [{ fromBlock: '0x2', toBlock: '0x1' }]],
    ['eth_feeHistory', ['0x2', 'latest', [50, 10]]],
    ['eth_feeHistory', ['0x2', 'latest', [101]]],
  ])('%s %j is -32602', async (method, params) => {
    expect(await codeOf(method, ...params)).toBe(-32602)
  })

  it('what a call supposes reaches the EVM typed', async () => {
    let heard: CallRequest | undefined
    api.node.onCall = async (request) => {
      heard = request
      return { ok: true, returnValue: new Uint8Array(0), gasUsed: 21_000n }
    }
    const word = `0x${'07'.padStart(64, '0')}`
    const overrides = {
      [THERE]: { balance: '0x5', nonce: '0x1', code: '0x60', stateDiff: { [word]: word } },
    }
    await api.result('eth_call', {}, 'latest', overrides, { number: '0x9', baseFeePerGas: '0x3' })
    expect(heard?.accounts).toMatchObject([
      { address: CONTRACT, balanceWei: 5n, nonce: 1n, code: Uint8Array.of(0x60) },
    ])
    expect(heard?.accounts?.[0]?.stateDiff).toEqual([[hexBytes(word), hexBytes(word)]])
    expect(heard?.block).toMatchObject({ number: 9, baseFeeWei: 3n })
  })

  it('eth_call returns data, and the request reaches the EVM typed', async () => {
    let seen: unknown
    const answer = api.node.onCall
    api.node.onCall = (request) => {
      seen = request
      return answer(request)
    }
    const request = { from: ME, to: THERE, input: '0xa9059cbb', value: '0x5', gas: '0x5208' }
    expect(await api.result('eth_call', request, 'latest', {})).toBe(`0x${'07'.repeat(32)}`)
    expect(seen).toMatchObject({ to: CONTRACT, valueWei: 5n, gasLimit: 21_000n })
  })

  it('a revert is code 3 with its data, and Error(string) in the message', async () => {
    const data = concat(['0x08c379a0', AbiCoder.defaultAbiCoder().encode(['string'], ['no coins'])])
    api.node.onCall = async () => ({ ok: false, code: 'Reverted', returnValue: hexBytes(data) })
    expect((await api.rpc('eth_call', [{}])).error).toEqual({
      code: 3,
      message: 'execution reverted: no coins',
      data,
    })
  })

  it.each(['0x', '0x08c379a0', `0x08c379a0${'ff'.repeat(64)}`, `0x4e487b71${'00'.repeat(31)}11`])(
    'revert data %s never breaks the answer',
    async (data) => {
      api.node.onCall = async () => ({ ok: false, code: 'Reverted', returnValue: hexBytes(data) })
      expect((await api.rpc('eth_call', [{}])).error).toMatchObject({ code: 3, data })
    },
  )

  it('calls above what the pool takes are told to come back', async () => {
    const gate = Promise.withResolvers<void>()
    const full = Promise.withResolvers<void>()
    let started = 0
    api.node.onCall = async () => {
      started += 1
      if (started === 200) full.resolve()
      await gate.promise
      return { ok: true, returnValue: new Uint8Array(), gasUsed: 0n }
    }
    const item = { jsonrpc: '2.0', id: 1, method: 'eth_call', params: [{}] }
    const posts = Array.from({ length: 13 }, () => api.post(Array(16).fill(item)))
    await full.promise
    expect(await codeOf('eth_call', {})).toBe(-32002)
    gate.resolve()
    await Promise.all(posts)
    expect(await codeOf('eth_call', {})).toBeUndefined()
  })

  it('a call that does not end is given up after its time', async () => {
    const begun = Promise.withResolvers<void>()
    api.node.onCall = () => {
      begun.resolve()
      return new Promise(() => {})
    }
    const answer = codeOf('eth_call', {})
    await begun.promise
    await new Promise((resolve) => setImmediate(resolve))
    api.clock.advance(30_000)
    expect(await answer).toBe(-32016)
  })

  it('eth_sendRawTransaction answers with the hash', async () => {
    const raw = signedTransaction({ type: 2, nonce: 2, to: CONTRACT })
    expect(await api.result('eth_sendRawTransaction', hex(raw))).toBe(hex(decoded(raw).hash))
  })

  it.each([
    ['NonceTooLow', -32003, 'nonce too low'],
    ['ReplacementUnderpriced', -32003, 'replacement transaction underpriced'],
    ['InsufficientFunds', -32003, 'insufficient funds for gas * price + value'],
    ['SomethingNew', -32003, 'transaction rejected: because'],
    ['MailboxFull', -32002, 'the engine does not answer now (MailboxFull)'],
  ])('a rejection %s is told in the words that wallets know', async (code, rpc, message) => {
    api.node.onSubmit = async () => ({ ok: false, error: { code, reason: 'because' } })
    const raw = signedTransaction({ type: 2, nonce: 2, to: CONTRACT })
    expect((await api.rpc('eth_sendRawTransaction', [hex(raw)])).error).toMatchObject({
      code: rpc,
      message,
    })
  })

  it('fees: suggestion above the base fee, history with the next base fee and rewards', async () => {
    const tip = BigInt((await api.result('eth_maxPriorityFeePerGas')) as string)
    expect(tip).toBe(1_000_000_000n)
    const history = (await api.result('eth_feeHistory', '0x2', '0x2', [25, 75])) as {
      baseFeePerGas: string[]
      reward: string[][]
    }
    expect(history).toMatchObject({ oldestBlock: '0x1', gasUsedRatio: [0, 100_000 / 60_000_000] })
    expect(history.baseFeePerGas).toHaveLength(3)
    expect(history.reward).toEqual([
      ['0x0', '0x0'],
      ['0x3b9aca00', '0x3b9aca00'],
    ])
    expect(await api.result('eth_feeHistory', 1000, 'latest', [])).toMatchObject({
      oldestBlock: '0x0',
    })
  })

  it('eth_syncing is false, or the range that is missing', async () => {
    expect(await api.result('eth_syncing')).toBe(false)
    api.node.sync = { ...api.node.sync, targetHeight: 20 }
    expect(await api.result('eth_syncing')).toMatchObject({
      currentBlock: '0x3',
      highestBlock: '0x14',
    })
  })

  describe('logs', () => {
    it('are found by address, by topic and by block hash', async () => {
      const block = (await api.result('eth_getBlockByNumber', '0x2', false)) as { hash: string }
      const all = (await api.result('eth_getLogs', { fromBlock: 'earliest' })) as unknown[]
      expect(all).toHaveLength(1)
      for (const filter of [
        { fromBlock: '0x0', address: THERE },
        { fromBlock: '0x2', toBlock: '0x2', address: [ME, THERE] },
        { fromBlock: '0x0', topics: [[hex(TOPIC), ME.padEnd(66, '0')], null] },
        { blockHash: block.hash },
        { fromBlock: '0x0', address: null, topics: null },
      ]) {
        expect(await api.result('eth_getLogs', filter)).toEqual(all)
      }
      expect(await api.result('eth_getLogs', { fromBlock: '0x0', address: ME })).toEqual([])
      expect(
        await api.result('eth_getLogs', { fromBlock: '0x0', topics: [null, hex(TOPIC)] }),
      ).toEqual([])
      expect(await api.result('eth_getLogs', { fromBlock: '0x9', toBlock: '0x9' })).toEqual([])
    })

    it('OP-2: a range above the limit is refused', async () => {
      for (let block = 0; block < 10; block++) api.node.addBlock()
      expect(await codeOf('eth_getLogs', { fromBlock: '0x0' })).toBe(-32005)
      expect(await codeOf('eth_getLogs', { fromBlock: '0x4' })).toBeUndefined()
    })

    it('a log filter tells each log once', async () => {
      const id = await api.result('eth_newFilter', { address: THERE })
      expect(await api.result('eth_getFilterChanges', id)).toEqual([])
      const log = { address: CONTRACT, topics: [TOPIC], data: new Uint8Array() }
      api.node.addBlock([signedTransaction({ type: 2, nonce: 2 })], [log])
      expect(await api.result('eth_getFilterChanges', id)).toHaveLength(1)
      expect(await api.result('eth_getFilterChanges', id)).toEqual([])
      expect(await api.result('eth_uninstallFilter', id)).toBe(true)
      expect(await api.result('eth_uninstallFilter', id)).toBe(false)
      expect(await codeOf('eth_getFilterChanges', id)).toBe(-32001)
    })

    it('a block filter that was away tells one stretch per poll and misses nothing', async () => {
      const id = await api.result('eth_newBlockFilter')
      for (let block = 0; block < 13; block++) api.node.addBlock()
      const first = (await api.result('eth_getFilterChanges', id)) as string[]
      const second = (await api.result('eth_getFilterChanges', id)) as string[]
      expect([first.length, second.length]).toEqual([10, 3])
      expect(new Set([...first, ...second]).size).toBe(13)
    })

    it('filters are bounded in number and end when nobody polls', async () => {
      const first = await api.result('eth_newBlockFilter')
      await api.result('eth_newBlockFilter')
      expect(await codeOf('eth_newBlockFilter')).toBe(-32005)
      api.clock.advance(200_000)
      await api.result('eth_getFilterChanges', first)
      api.clock.advance(200_000)
      await api.result('eth_newBlockFilter')
      expect(await api.result('eth_getFilterChanges', first)).toEqual([])
    })
  })
})

describe("Alys's names and ours", () => {
  let api: UnderTest
  beforeEach(async () => {
    api = await startApi()
  })
  afterEach(() => api.close())

  it('OP-1: getblockbyheight takes a bare number and a list, getblockbyhash bare hex and a list', async () => {
    const head = (await api.result('getheadblock')) as { hash: string; height: number }
    expect(head).toMatchObject({ height: 3, certificate: { signers: [0, 1, 2] } })
    for (const params of [3, [3]]) {
      expect((await api.rpc('getblockbyheight', params)).result).toEqual(head)
    }
    for (const params of [head.hash, [head.hash], [`0x${head.hash}`]]) {
      expect((await api.rpc('getblockbyhash', params)).result).toEqual(head)
    }
    expect((await api.rpc('getblockbyheight', 77)).error?.code).toBe(-32604)
  })

  it('a block tells what it has of a key and which orders', async () => {
    const { body } = (api.node.chain.committed.at(-1) as CommittedBlock).block
    const item = { epoch: 2, sessionId: NOTHING, kind: 4, signer: 1, content: NOTHING }
    const order = {
      kind: 2,
      subject: Uint8Array.of(9),
      scriptPubKey: NOTHING,
      fundSat: 7n,
      since: 3,
    }
    body.keygen = [{ ...item, signature: NOTHING }]
    body.pegOrders = [{ ...order, approval: undefined as never }]
    expect(await api.result('getheadblock')).toMatchObject({
      keygen: [{ epoch: 2, kind: 'call', member: 0 }],
      pegOrders: [{ kind: 'strayLoss', subject: '09', fundSat: '7' }],
      validatorChanges: 0,
    })
  })

  it('OP-1: getdepositaddress is text as in Alys, and all fields when it is asked for an address', async () => {
    expect(await api.result('getdepositaddress')).toBe('bcrt1pfederation')
    expect(await api.result('getdepositaddress', ME, '0014')).toMatchObject({
      address: 'bcrt1pown',
      uri: 'bitcoin:bcrt1pown',
      epoch: 0,
      evmAddress: ME,
      refundScript: '0014',
    })
    const zero = (await api.rpc('getdepositaddress', [`0x${'00'.repeat(20)}`])).error
    expect(zero).toMatchObject({ code: -32602, data: 'ForbiddenAddress' })
  })

  it('OP-1: claimdeposit takes a block as Bitcoin names it, and says why it finds nothing', async () => {
    const block = `${'ab'.repeat(31)}01`
    expect(await api.result('claimdeposit', block, ME)).toEqual({
      outpoints: [`${'ef'.repeat(32)}:1`],
    })
    const unknown = await api.rpc('claimdeposit', [`${'ab'.repeat(31)}00`, ME])
    expect(unknown.error).toMatchObject({ code: -32602, data: 'BitcoinBlockUnknown' })
    expect((await api.rpc('claimdeposit', ['ab', ME])).error?.code).toBe(-32602)
  })

  it('OP-2, PI-2: no client takes more than a fifth of the claims that the bridge has time for', async () => {
    const block = `${'ab'.repeat(31)}01`
    const busy = await startApi()
    for (let call = 0; call < 5; call++) await busy.result('claimdeposit', block, ME)
    const ask = () => busy.rpc('claimdeposit', [block, ME])
    expect((await ask()).error?.code).toBe(-32005)
    busy.clock.advance(9_900)
    expect((await ask()).error?.code).toBe(-32005)
    busy.clock.advance(100)
    expect((await ask()).error).toBeUndefined()
    await busy.close()
  })

  it('OP-1, N16: a node that is behind gives no deposit address', async () => {
    api.node.sync = { ...api.node.sync, targetHeight: 30 }
    expect((await api.rpc('getdepositaddress')).error?.code).toBe(-32606)
  })

  it('OP-1: millrace_ names answer', async () => {
    expect(await api.result('millrace_pegStatus')).toHaveLength(2)
    expect(await api.result('millrace_pegStatus', 'cd'.repeat(32))).toMatchObject({
      step: 'Broadcast',
    })
    expect((await api.rpc('millrace_pegStatus', ['none'])).error?.code).toBe(-32001)
    expect(await api.result('millrace_reserves')).toMatchObject({
      balanced: true,
      scripts: [`5120${'ab'.repeat(32)}`],
    })
    expect(await api.result('millrace_keygenStatus')).toMatchObject({ epoch: 0, keys: [] })
    expect(await api.result('millrace_federation')).toMatchObject({ threshold: 3 })
    expect(await api.result('millrace_params')).toMatchObject({ slotMs: 1_000, chainId: 212_121 })
    expect(await api.result('millrace_syncStatus')).toMatchObject({ syncing: false })
    expect(await api.result('millrace_consensusState')).toMatchObject({
      height: 4,
      prepares: [0, 1, 2],
    })
    expect(await api.result('millrace_validators')).toMatchObject({ quorum: 3, totalPower: 4 })
    expect(await api.result('millrace_commit', 2)).toMatchObject({ height: 2, signers: [0, 1, 3] })
    expect(await api.result('millrace_commit')).toMatchObject({ height: 3 })
  })

  it('OP-1, BP-17: millrace_evidence tells who signed twice, page by page', async () => {
    const first = await api.result('millrace_evidence', 0, 2)
    expect(first).toMatchObject({ from: 0, waitingTotal: 1, carriedTotal: 3, next: 2 })
    const { waiting, carried } = first as { waiting: object[]; carried: object[] }
    expect(waiting).toEqual([
      expect.objectContaining({
        phase: 'block',
        slot: 900,
        signed: [expect.objectContaining({ height: 4 }), expect.objectContaining({ height: 5 })],
      }),
    ])
    expect(carried).toMatchObject([
      { phase: 'commit', view: 2, offenceHeight: 3, height: 6 },
      { phase: 'commit', view: 1, offenceHeight: 3, height: 5 },
    ])
    const last = await api.result('millrace_evidence', 2)
    expect(last).toMatchObject({ waiting: [], carried: [{ view: 0 }] })
    expect(last).not.toHaveProperty('next')
    expect((await api.rpc('millrace_evidence', [0, 101])).error?.code).toBe(-32005)
  })

  it('TX-1, TX-4: every end of a transaction is told with its reason', async () => {
    const statusOf = async (standing: PoolStanding) => {
      const hash = new Uint8Array(32).fill(9)
      api.node.ends.set(toHex(hash), standing)
      return api.result('millrace_transactionStatus', hex(hash))
    }
    const by = new Uint8Array(32).fill(1)
    expect(await statusOf({ state: 'Mempool', waitsFor: 'NonceGap' })).toMatchObject({
      state: 'Mempool',
      status: 'pending',
      reason: 'NonceGap',
    })
    expect(await statusOf({ state: 'Pending', blockHash: by })).toMatchObject({
      state: 'Pending',
      evmBlockHash: hex(by),
    })
    expect(await statusOf({ state: 'Replaced', by })).toMatchObject({
      state: 'Replaced',
      status: 'dropped',
      replacedBy: hex(by),
    })
    expect(await statusOf({ state: 'Rejected', code: 'Evicted', reason: 'full' })).toMatchObject({
      state: 'Rejected',
      reason: 'Evicted',
      detail: 'full',
    })
    expect(await statusOf({ state: 'Expired', afterMs: 72 * 3_600_000 })).toMatchObject({
      state: 'Expired',
      detail: 'waited 72 hours',
    })
  })

  it('TX-3: committed is confirmed, and finalized after six blocks', async () => {
    const { transactions } = (await api.result('eth_getBlockByNumber', '0x2', false)) as {
      transactions: string[]
    }
    const status = () => api.result('millrace_transactionStatus', transactions[0])
    expect(await status()).toMatchObject({ state: 'Confirmed', confirmations: 2, final: true })
    for (let count = 0; count < 4; count++) api.node.addBlock()
    expect(await status()).toMatchObject({ state: 'Finalized', confirmations: 6 })
  })

  it('MP-4: a suggested tip is one that the pool takes', async () => {
    api.node.tipFloorWei = 5_000_000_000n
    expect(await api.result('eth_maxPriorityFeePerGas')).toBe('0x12a05f200')
  })

  it('millrace_transactionStatus: unknown, pending, committed', async () => {
    const raw = signedTransaction({ type: 2, nonce: 2 })
    const hash = hex(decoded(raw).hash)
    expect(await api.result('millrace_transactionStatus', hash)).toMatchObject({
      status: 'unknown',
    })
    api.node.pooled.push(decoded(raw))
    expect(await api.result('millrace_transactionStatus', hash)).toMatchObject({
      status: 'pending',
    })
    api.node.addBlock([raw])
    expect(await api.result('millrace_transactionStatus', hash)).toMatchObject({
      status: 'committed',
      final: true,
      height: 4,
      certificate: { height: 4 },
    })
  })

  it('rpc_modules names the namespaces', async () => {
    expect(await api.result('rpc_modules')).toEqual({
      debug: '1.0',
      eth: '1.0',
      millrace: '1.0',
      net: '1.0',
      rpc: '1.0',
      txpool: '1.0',
      web3: '1.0',
    })
  })
})

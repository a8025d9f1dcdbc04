import { toHex } from '../../../../crypto/index.ts'
import { startApi, type UnderTest } from '../../../unit/node/api/api-under-test.ts'
import { CONTRACT, decoded, SENDER, signedTransaction } from '../../../unit/node/api/fake-node.ts'
import { ExecutionApis, VECTORS_PRESENT } from './schema.ts'

const describeWithVectors = VECTORS_PRESENT ? describe : describe.skip
const hex = (bytes: Uint8Array) => `0x${toHex(bytes)}`
const ME = hex(SENDER)
const CALL = { from: ME, to: hex(CONTRACT), data: '0x' }
const RAW = signedTransaction({ type: 2, nonce: 2, to: CONTRACT })

/** Calls of every method that execution-apis names and this node has. */
const CALLS: readonly (readonly [string, ...unknown[]])[] = [
  ['debug_getBadBlocks'],
  ['debug_getRawHeader', 'latest'],
  ['debug_getRawReceipts', '0x2'],
  ['debug_getRawTransaction', '@transaction'],
  ['debug_traceBlockByHash', '@block'],
  ['debug_traceBlockByNumber', '0x2', { enableMemory: true }],
  ['debug_traceTransaction', '@transaction', {}],
  ['eth_accounts'],
  ['eth_baseFee'],
  ['eth_blobBaseFee'],
  ['eth_blockNumber'],
  ['eth_call', CALL, 'latest'],
  ['eth_chainId'],
  ['eth_createAccessList', CALL, 'latest'],
  ['eth_estimateGas', CALL],
  ['eth_feeHistory', '0x4', 'latest', [10, 50, 90]],
  ['eth_gasPrice'],
  ['eth_getBalance', ME, 'latest'],
  ['eth_getBlockByHash', '@block', true],
  ['eth_getBlockByNumber', '0x0', true],
  ['eth_getBlockByNumber', '0x1', false],
  ['eth_getBlockByNumber', '0x2', false],
  ['eth_getBlockByNumber', '0x2', true],
  ['eth_getBlockByNumber', '0x99', true],
  ['eth_getBlockReceipts', '0x2'],
  ['eth_getBlockTransactionCountByHash', '@block'],
  ['eth_getBlockTransactionCountByNumber', '0x2'],
  ['eth_getCode', hex(CONTRACT), 'latest'],
  ['eth_getFilterChanges', '@filter'],
  ['eth_getFilterLogs', '@filter'],
  ['eth_getLogs', { fromBlock: '0x0' }],
  ['eth_getProof', ME, ['0x0'], 'latest'],
  ['eth_getStorageValues', { [ME]: ['0x0'] }, 'latest'],
  ['eth_getStorageAt', hex(CONTRACT), '0x0', 'latest'],
  ['eth_getTransactionByBlockHashAndIndex', '@block', '0x0'],
  ['eth_getTransactionByBlockNumberAndIndex', '0x2', '0x1'],
  ['eth_getTransactionByHash', '@transaction'],
  ['eth_getTransactionCount', ME, 'latest'],
  ['eth_getTransactionReceipt', '@transaction'],
  ['eth_maxPriorityFeePerGas'],
  ['eth_newBlockFilter'],
  ['eth_newFilter', {}],
  ['eth_sendRawTransaction', hex(RAW)],
  ['eth_syncing'],
  ['eth_uninstallFilter', '@filter'],
  ['txpool_content'],
  ['txpool_contentFrom', ME],
  ['txpool_status'],
]

describeWithVectors('execution-apis', () => {
  let api: UnderTest
  let apis: ExecutionApis
  let names: Record<string, unknown>
  beforeAll(async () => {
    apis = new ExecutionApis()
    api = await startApi()
    api.node.pooled.push(decoded(RAW))
    const block = (await api.result('eth_getBlockByNumber', '0x2', false)) as {
      hash: string
      transactions: string[]
    }
    names = {
      '@block': block.hash,
      '@transaction': block.transactions[0],
      '@filter': await api.result('eth_newFilter', { fromBlock: '0x0' }),
    }
  })
  afterAll(() => api.close())

  it.each(CALLS)('OP-1: the result of %s fits its schema', async (...call) => {
    const [method, ...params] = call as [string, ...unknown[]]
    const given = params.map((param) => names[param as string] ?? param)
    const result = await api.result(method, ...given)
    expect(apis.checkResult(method, result)).toEqual([])
  })

  it('a syncing node fits the schema too', async () => {
    const { sync } = api.node
    api.node.sync = { ...sync, targetHeight: 99 }
    expect(apis.checkResult('eth_syncing', await api.result('eth_syncing'))).toEqual([])
    api.node.sync = sync
  })

  it('a result with a leading zero or a missing field is found', () => {
    expect(apis.checkResult('eth_blockNumber', '0x01')).toHaveLength(1)
    expect(apis.checkResult('eth_getBlockByNumber', { number: '0x1' })).not.toEqual([])
  })
})

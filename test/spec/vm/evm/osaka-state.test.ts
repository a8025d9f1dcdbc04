import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bigintFromBytes, hexBytes, toHex } from '../../../../crypto/index.ts'
import { emptyAccount } from '../../../../vm/evm/account.ts'
import { createChainEvm } from '../../../../vm/evm/chain.ts'
import { keccak256 } from '../../../../vm/evm/keccak.ts'
import { encodeRlp } from '../../../../vm/evm/rlp.ts'
import {
  type BlockEnvironment,
  evmBlock,
  runTransaction,
} from '../../../../vm/evm/run-transaction.ts'
import { recoverSender } from '../../../../vm/evm/sender.ts'
import { EMPTY_STATE, sealState } from '../../../../vm/evm/state.ts'
import { StateJournal } from '../../../../vm/evm/state-journal.ts'
import { decodeTransaction, isTransaction } from '../../../../vm/evm/transaction.ts'
import { MemoryState } from '../../../unit/vm/evm/memory-store.ts'

/** Osaka's state tests of execution-spec-tests: the state root and the hash of the logs after one transaction. */
const VECTORS =
  process.env['VECTORS_DIR'] ??
  fileURLToPath(new URL('../../../../../shared/vectors', import.meta.url))
const root = join(VECTORS, 'execution-spec-tests')

type Account = { nonce: string; balance: string; code: string; storage: Record<string, string> }
type Post = { hash: string; logs: string; txbytes: string; expectException?: string }
type StateTest = {
  env: Record<string, string>
  pre: Record<string, Account>
  post: { Osaka?: Post[] }
}

function integer(hex: string | undefined): bigint {
  return bigintFromBytes(bytes(hex ?? '0x'))
}

function bytes(hex: string): Uint8Array {
  const digits = hex.slice(2)
  return hexBytes(digits.length % 2 === 0 ? digits : `0${digits}`)
}

function preState(accounts: Record<string, Account>): MemoryState {
  const journal = new StateJournal(EMPTY_STATE)
  for (const [address, account] of Object.entries(accounts)) {
    const addressHex = address.slice(2)
    const [nonce, balance] = [integer(account.nonce), integer(account.balance)]
    journal.setAccount(addressHex, { ...emptyAccount(), nonce, balance })
    if (account.code !== '0x') journal.setCode(addressHex, bytes(account.code))
    for (const [slot, value] of Object.entries(account.storage)) {
      journal.setStorage(addressHex, slot.slice(2).padStart(64, '0'), bytes(value))
    }
  }
  const state = new MemoryState()
  state.apply(sealState(EMPTY_STATE, journal.changes()).delta)
  return state
}

async function runTest(test: StateTest, post: Post): Promise<{ hash: string; logs: string }> {
  const view = preState(test.pre)
  const chain = await createChainEvm(1)
  chain.begin(view)
  const environment: BlockEnvironment = {
    height: Number(integer(test.env['currentNumber'])),
    timestamp: Number(integer(test.env['currentTimestamp'])),
    gasLimit: Number(integer(test.env['currentGasLimit'])),
    baseFeeWei: integer(test.env['currentBaseFee']),
    feeRecipient: bytes(test.env['currentCoinbase'] ?? ''),
    prevRandao: bytes(test.env['currentRandom'] ?? ''),
  }
  const transaction = decodeTransaction(bytes(post.txbytes))
  let logs: readonly { address: Uint8Array; topics: readonly Uint8Array[]; data: Uint8Array }[] = []
  if (isTransaction(transaction)) {
    const sender = recoverSender(transaction)
    const ran = await runTransaction(
      chain,
      environment,
      evmBlock(environment),
      transaction,
      sender as Uint8Array,
      BigInt(environment.gasLimit),
    )
    if ('rejected' in ran) expect(post.expectException).toBeDefined()
    else logs = ran.result.logs
  } else {
    expect(post.expectException ?? transaction.code).toBeDefined()
  }
  const sealed = sealState(view, chain.state.changes())
  const listed = logs.map(({ address, topics, data }) => [address, topics, data])
  return { hash: `0x${toHex(sealed.root)}`, logs: `0x${toHex(keccak256(encodeRlp(listed)))}` }
}

const files = existsSync(root) ? globSync('osaka/**/*.json', { cwd: root }).sort() : []
const describeVectors = files.length === 0 ? describe.skip : describe

describeVectors('execution-spec-tests, Osaka', () => {
  it.each(files.length === 0 ? ['no vectors'] : files)('%s', async (file) => {
    const tests: Record<string, StateTest> = JSON.parse(readFileSync(join(root, file), 'utf8'))
    for (const [name, test] of Object.entries(tests)) {
      for (const post of test.post.Osaka ?? []) {
        if (post.txbytes.startsWith('0x03')) {
          // Protocol 6.1: no blob transaction is valid here.
          const refused = { code: 'TransactionTypeRefused' }
          expect(decodeTransaction(bytes(post.txbytes))).toMatchObject(refused)
          continue
        }
        const { hash, logs } = await runTest(test, post)
        expect({ name, hash, logs }).toEqual({ name, hash: post.hash, logs: post.logs })
      }
    }
  })
})

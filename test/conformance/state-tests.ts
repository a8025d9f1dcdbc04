/** GeneralStateTests and state tests of execution-spec-tests: the state's root and the hash of the logs after one transaction. */
import { bigintToBytes } from '../../crypto/index.ts'
import type { Fork } from '../../vm/evm/fork.ts'
import { keccak256 } from '../../vm/evm/keccak.ts'
import type { Log } from '../../vm/evm/receipt.ts'
import { encodeRlp } from '../../vm/evm/rlp.ts'
import { type BlockEnvironment, evmBlock, runTransaction } from '../../vm/evm/run-transaction.ts'
import { recoverSender } from '../../vm/evm/sender.ts'
import { sealState } from '../../vm/evm/state.ts'
import { decodeTransaction, isTransaction } from '../../vm/evm/transaction.ts'
import {
  type AccountVectors,
  bytes,
  chainOf,
  forkNamed,
  hex,
  integer,
  preState,
} from './ethereum.ts'
import { type Case, compared, SKIPPED, type Suite, skipped, type Verdict } from './suite.ts'

type Post = {
  readonly hash: string
  readonly logs: string
  readonly txbytes: string
  readonly expectException?: string
}
type StateTest = {
  readonly env: Readonly<Record<string, string>>
  readonly pre: AccountVectors
  readonly post: Readonly<Record<string, readonly Post[]>>
}

/** Loops of 80 M gas and more in one transaction, and 2^32 rounds of blake2f. */
const LONG = /^(?:loopExp|loopMul|performanceTester|CALLBlake2f_MaxRounds)/

function* casesOf(parsed: unknown): Iterable<Case> {
  for (const [name, test] of Object.entries(parsed as Record<string, StateTest>)) {
    for (const [forkName, posts] of Object.entries(test.post)) {
      for (const [index, post] of posts.entries()) {
        const fork = forkNamed(forkName)
        yield {
          name: `${name} ${forkName} ${index}`,
          run: async () => {
            if (LONG.test(name)) return skipped(SKIPPED.time)
            return fork ? run(fork, test, post) : skipped(SKIPPED.fork)
          },
        }
      }
    }
  }
}

export const stateTests: readonly Suite[] = [
  {
    name: 'GeneralStateTests',
    files: 'ethereum-tests/GeneralStateTests/**/*.json',
    casesOf,
  },
  { name: 'execution-spec-tests', files: 'execution-spec-tests/**/*.json', casesOf },
]

async function run(fork: Fork, test: StateTest, post: Post): Promise<Verdict> {
  const { env } = test
  if (post.txbytes.startsWith('0x03')) return skipped(SKIPPED.blobs)
  if (integer(env['currentExcessBlobGas']) > 0n) return skipped(SKIPPED.blobs)
  const { state, root } = preState(test.pre)
  const transaction = decodeTransaction(bytes(post.txbytes))
  const chain = await chainOf(fork)
  chain.begin({
    ...viewOf(state),
    // The rule of these tests: there are no blocks, a hash is that of the number's decimal digits.
    blockHash: (height) => keccak256(Buffer.from(String(height))),
  })
  const logs: Log[] = []
  let refused: string | undefined
  if (isTransaction(transaction)) {
    const environment = environmentOf(env)
    const header = { ...evmBlock(environment).header, ...exact(env) }
    const sender = recoverSender(transaction)
    const available = integer(env['currentGasLimit'])
    const ran =
      sender === undefined
        ? { rejected: 'SenderUnrecoverable' }
        : await runTransaction(chain, environment, { header }, transaction, sender, available)
    if ('rejected' in ran) refused = ran.rejected
    else logs.push(...ran.result.logs)
  } else {
    refused = transaction.code
  }
  const isRefused = refused !== undefined
  if (isRefused !== (post.expectException !== undefined)) {
    const expected = post.expectException ?? 'executed'
    return { kind: 'failed', reason: `expected ${expected}, got ${refused ?? 'executed'}` }
  }
  const after = sealState(state, chain.state.changes()).root
  const listed = logs.map(({ address, topics, data }) => [address, topics, data])
  return compared(
    'state root, logs',
    `${post.hash} ${post.logs}`,
    `${hex(isRefused ? root : after)} ${hex(keccak256(encodeRlp(listed)))}`,
  )
}

function viewOf(state: ReturnType<typeof preState>['state']) {
  return {
    account: (address: string) => state.account(address),
    storage: (address: string, slot: string) => state.storage(address, slot),
    code: (hash: string) => state.code(hash),
    slots: (address: string) => state.slots(address),
    node: (path: string) => state.node(path),
  }
}

function environmentOf(env: StateTest['env']): BlockEnvironment {
  return {
    height: Number(integer(env['currentNumber'])),
    timestamp: Number(integer(env['currentTimestamp'])),
    gasLimit: Number(integer(env['currentGasLimit'])),
    baseFeeWei: integer(env['currentBaseFee']),
    feeRecipient: bytes(env['currentCoinbase'] ?? ''),
    prevRandao: bigintToBytes(integer(env['currentRandom'] ?? env['currentDifficulty']), 32),
  }
}

/** Some of the vectors' values are above what a number holds; ours never are. */
function exact(env: StateTest['env']) {
  return {
    number: integer(env['currentNumber']),
    timestamp: integer(env['currentTimestamp']),
    gasLimit: integer(env['currentGasLimit']),
  }
}

/** TrieTests, RLPTests and TransactionTests. */
import { FORKS } from '../../vm/evm/fork.ts'
import { intrinsicGas, MAX_INITCODE_BYTES } from '../../vm/evm/gas.ts'
import { keccak256 } from '../../vm/evm/keccak.ts'
import { decodeRlp, encodeRlp, integerBytes, type RlpItem } from '../../vm/evm/rlp.ts'
import { recoverSender } from '../../vm/evm/sender.ts'
import { decodeTransaction, isTransaction } from '../../vm/evm/transaction.ts'
import { Trie } from '../../vm/evm/trie.ts'
import { bytes, hex } from './ethereum.ts'
import { type Case, compared, SKIPPED, type Suite, skipped, type Verdict } from './suite.ts'

type TrieTest = {
  readonly in: readonly (readonly [string, string | null])[] | Readonly<Record<string, string>>
  readonly root: string
}

function* trieCases(parsed: unknown, isSecure: boolean): Iterable<Case> {
  for (const [name, test] of Object.entries(parsed as Record<string, TrieTest>)) {
    if (test.root === undefined) {
      yield { name, run: async () => skipped('a walk in the order of keys, which no part needs') }
      continue
    }
    yield { name, run: async () => runTrie(test, isSecure) }
  }
}

/** Our keys have one length, or end where no other goes on; those of plain tests need a terminator of their own. */
function runTrie(test: TrieTest, isSecure: boolean): Verdict {
  const entries = Array.isArray(test.in) ? test.in : Object.entries(test.in)
  const keys = entries.map(([key]) => hex(keyBytes(key, isSecure)).slice(2))
  const isPrefix = keys.some((key) => keys.some((other) => other !== key && other.startsWith(key)))
  if (isPrefix) return skipped('a key that is a prefix of another one: no trie of a chain has it')
  const trie = new Trie()
  for (const [index, [, value]] of entries.entries()) {
    const key = keys[index] as string
    if (value === null || value === '') trie.delete(key)
    else trie.put(key, text(value))
  }
  return compared('root', test.root, hex(trie.commit().root))
}

function keyBytes(key: string, isSecure: boolean): Uint8Array {
  return isSecure ? keccak256(text(key)) : text(key)
}

function text(value: string): Uint8Array {
  return value.startsWith('0x') ? bytes(value) : new Uint8Array(Buffer.from(value, 'latin1'))
}

type RlpTest = { readonly in: unknown; readonly out: string }

function* rlpCases(parsed: unknown): Iterable<Case> {
  for (const [name, test] of Object.entries(parsed as Record<string, RlpTest>)) {
    yield { name, run: async () => runRlp(test) }
  }
}

function runRlp(test: RlpTest): Verdict {
  const given = test.out.startsWith('0x') ? test.out : `0x${test.out}`
  const decoded = decodeRlp(bytes(given))
  if (test.in === 'INVALID') return compared('decoding', 'refused', decoded ? 'read' : 'refused')
  if (test.in === 'VALID') return compared('decoding', 'read', decoded ? 'read' : 'refused')
  const item = itemOf(test.in)
  const encoded = hex(encodeRlp(item))
  const back = decoded === undefined ? 'refused' : hex(encodeRlp(decoded))
  return compared('encoding, and decoding', `${given} ${given}`, `${encoded} ${back}`)
}

function itemOf(value: unknown): RlpItem {
  if (Array.isArray(value)) return value.map(itemOf)
  if (typeof value === 'number') return integerBytes(value)
  const string = String(value)
  return string.startsWith('#') ? integerBytes(BigInt(string.slice(1))) : text(string)
}

type TransactionTest = {
  readonly txbytes: string
  readonly result: Readonly<
    Record<
      string,
      { readonly exception?: string; readonly hash?: string; readonly sender?: string }
    >
  >
}

function* transactionCases(parsed: unknown): Iterable<Case> {
  for (const [name, test] of Object.entries(parsed as Record<string, TransactionTest>)) {
    yield { name, run: async () => runTransactionTest(test) }
  }
}

/** Everything about a transaction that needs no state. */
function runTransactionTest(test: TransactionTest): Verdict {
  const expected = test.result['Cancun']
  if (expected === undefined) return skipped(SKIPPED.fork)
  if (test.txbytes.startsWith('0x03')) return skipped(SKIPPED.blobs)
  const raw = bytes(test.txbytes)
  const wanted =
    expected.exception === undefined ? `${expected.hash} ${expected.sender}` : 'refused'
  return compared(expected.exception ?? 'hash, sender', wanted, read(raw))
}

function read(raw: Uint8Array): string {
  const transaction = decodeTransaction(raw)
  if (!isTransaction(transaction)) return 'refused'
  const { chainId, data, gasLimit, maxFeePerGas, to } = transaction
  const { intrinsic } = intrinsicGas(transaction, FORKS.cancun)
  if (chainId !== undefined && chainId !== 1n) return 'refused'
  if (gasLimit < intrinsic || (!to && data.length > MAX_INITCODE_BYTES)) return 'refused'
  // No balance is above this, so that no account can pay for it.
  if (gasLimit * maxFeePerGas >= 2n ** 256n) return 'refused'
  const sender = recoverSender(transaction)
  return sender === undefined ? 'refused' : `${hex(transaction.hash)} ${hex(sender)}`
}

export const codecTests: readonly Suite[] = [
  {
    name: 'TrieTests',
    files: 'ethereum-tests/TrieTests/{trieanyorder,trietest,trietestnextprev}.json',
    casesOf: (parsed) => trieCases(parsed, false),
  },
  {
    name: 'TrieTests, secure',
    files: 'ethereum-tests/TrieTests/*secure*.json',
    casesOf: (parsed) => trieCases(parsed, true),
  },
  { name: 'RLPTests', files: 'ethereum-tests/RLPTests/**/*.json', casesOf: rlpCases },
  {
    name: 'TransactionTests',
    files: 'ethereum-tests/TransactionTests/**/*.json',
    casesOf: transactionCases,
  },
]

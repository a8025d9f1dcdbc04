/** Schemas of parameters; what they let through is typed and bounded. */
import { z } from 'zod'
import { hexBytes } from '../../crypto/index.ts'
import {
  type AccountOverride,
  type BlockOverrides,
  type CallRequest,
  LogMatcher,
  type TraceConfig,
} from '../../vm/evm/index.ts'

const QUANTITY = /^0x(?:0|[1-9a-f][0-9a-f]*)$/i
const DATA = /^0x(?:[0-9a-f]{2})*$/i

/** A quantity of at most `bits` bits. Leading zeros are an error (execution-apis, uint). */
function quantityOf(bits: number) {
  return z
    .string()
    .max(2 + bits / 4)
    .regex(QUANTITY, 'expected a hex quantity without leading zeros')
    .transform((text) => BigInt(text))
}

export const bigQuantity = quantityOf(256)

/** A quantity that a number holds exactly. */
export const smallQuantity = quantityOf(64)
  .refine((value) => value <= BigInt(Number.MAX_SAFE_INTEGER), 'number too large')
  .transform(Number)

export const bytesParam = z
  .string()
  .regex(DATA, 'expected hex data with 0x and whole bytes')
  .transform(hexBytes)

function fixedBytes(length: number) {
  return z
    .string()
    .length(2 + 2 * length, `expected ${length} bytes`)
    .regex(DATA, `expected ${length} bytes of hex data`)
    .transform(hexBytes)
}

export const hash32Param = fixedBytes(32)
export const addressParam = fixedBytes(20)

/** Hex of a hash with or without 0x: what Alys's and our own methods accept. */
export const bareHashParam = z
  .string()
  .regex(/^(?:0x)?[0-9a-f]{64}$/i, 'expected 32 bytes of hex')
  .transform(hexBytes)

/** Up to 32 bytes, leading zeros allowed, odd digits too: a storage slot as tools send it. */
export const slotParam = z
  .string()
  .regex(/^0x[0-9a-f]{0,64}$/i, 'expected at most 32 bytes of hex')
  .transform((text) => hexBytes(text.slice(2).padStart(64, '0')))

/** Only committed blocks are ever told: four names for the head, and pending is the head as well (protocol 3.4). */
export type BlockTag = 'earliest' | 'latest' | 'safe' | 'finalized' | 'pending'
const TAGS = ['earliest', 'latest', 'safe', 'finalized', 'pending'] as const

export type BlockRef =
  | { readonly kind: 'tag'; readonly tag: BlockTag }
  | { readonly kind: 'number'; readonly number: number }
  | { readonly kind: 'hash'; readonly hash: Uint8Array }

const tagRef = z.enum(TAGS).transform((tag): BlockRef => ({ kind: 'tag', tag }))
const numberRef = smallQuantity.transform((number): BlockRef => ({ kind: 'number', number }))
const hashRef = hash32Param.transform((hash): BlockRef => ({ kind: 'hash', hash }))

/** A number or a tag. */
export const blockNumberParam = z.union([tagRef, numberRef], {
  error: 'expected a block number or tag',
})

/** A number, tag, hash, or EIP-1898's object. */
export const blockParam = z.union(
  [
    tagRef,
    hashRef,
    numberRef,
    z
      .strictObject({ blockNumber: smallQuantity })
      .transform(({ blockNumber }): BlockRef => ({ kind: 'number', number: blockNumber })),
    z
      .strictObject({ blockHash: hash32Param, requireCanonical: z.boolean().optional() })
      .transform(({ blockHash }): BlockRef => ({ kind: 'hash', hash: blockHash })),
  ],
  { error: 'expected a block number, tag or hash' },
)

export const LATEST: BlockRef = { kind: 'tag', tag: 'latest' }

const MAX_ACCESS_LIST = 10_000

const accessListParam = z
  .array(
    z.strictObject({
      address: addressParam,
      storageKeys: z.array(hash32Param).max(MAX_ACCESS_LIST),
    }),
  )
  .max(MAX_ACCESS_LIST)

const MAX_AUTHORIZATIONS = 256

/** EIP-7702. */
const authorizationsParam = z
  .array(
    z.looseObject({
      chainId: bigQuantity,
      address: addressParam,
      nonce: quantityOf(64),
      yParity: bigQuantity,
      r: bigQuantity,
      s: bigQuantity,
    }),
  )
  .max(MAX_AUTHORIZATIONS)

/** A transaction object of eth_call and its kin. `data` and `input` are one field; both must agree. */
export const callParam = z
  .looseObject({
    from: addressParam.nullish(),
    to: addressParam.nullish(),
    gas: quantityOf(64).nullish(),
    gasPrice: bigQuantity.nullish(),
    maxFeePerGas: bigQuantity.nullish(),
    maxPriorityFeePerGas: bigQuantity.nullish(),
    value: bigQuantity.nullish(),
    data: bytesParam.nullish(),
    input: bytesParam.nullish(),
    accessList: accessListParam.nullish(),
    authorizationList: authorizationsParam.nullish(),
    blobVersionedHashes: z.array(z.unknown()).max(0, 'blob transactions are refused').nullish(),
  })
  .refine(
    ({ data, input }) =>
      data == null || input == null || Buffer.from(data).equals(Buffer.from(input)),
    'data and input differ',
  )
  .refine(
    ({ gasPrice, maxFeePerGas, maxPriorityFeePerGas }) =>
      gasPrice == null || (maxFeePerGas == null && maxPriorityFeePerGas == null),
    'both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified',
  )
  .transform(toCallRequest)

/** An EIP-1559 call is priced at the most it would pay. */
function toCallRequest(given: {
  from?: Uint8Array | null | undefined
  to?: Uint8Array | null | undefined
  gas?: bigint | null | undefined
  gasPrice?: bigint | null | undefined
  maxFeePerGas?: bigint | null | undefined
  value?: bigint | null | undefined
  data?: Uint8Array | null | undefined
  input?: Uint8Array | null | undefined
  accessList?: CallRequest['accessList'] | null | undefined
  authorizationList?: z.output<typeof authorizationsParam> | null | undefined
}): CallRequest {
  return {
    from: given.from ?? undefined,
    to: given.to ?? undefined,
    gasLimit: given.gas ?? undefined,
    gasPriceWei: given.gasPrice ?? given.maxFeePerGas ?? undefined,
    valueWei: given.value ?? undefined,
    data: given.input ?? given.data ?? undefined,
    accessList: given.accessList ?? undefined,
    authorizations: given.authorizationList ?? undefined,
  }
}

const MAX_OVERRIDES = 1_000
const MAX_OVERRIDDEN_SLOTS = 10_000

const slotsParam = z
  .record(z.string(), z.string())
  .refine((slots) => Object.keys(slots).length <= MAX_OVERRIDDEN_SLOTS, 'too many slots')
  .transform((slots, issues) => {
    const parsed = z.array(z.tuple([slotParam, slotParam])).safeParse(Object.entries(slots))
    if (parsed.success) return parsed.data
    issues.addIssue({ code: 'custom', message: 'expected slots and words of 32 bytes' })
    return z.NEVER
  })

/** Accounts that a call supposes to be other than they are. A precompile stays where it is. */
export const stateOverrideParam = z
  .record(
    z.string(),
    z.strictObject({
      balance: bigQuantity.nullish(),
      nonce: quantityOf(64).nullish(),
      code: bytesParam.nullish(),
      state: slotsParam.nullish(),
      stateDiff: slotsParam.nullish(),
    }),
  )
  .refine((given) => Object.keys(given).length <= MAX_OVERRIDES, 'too many accounts')
  .refine(
    (given) => Object.values(given).every(({ state, stateDiff }) => !state || !stateDiff),
    'an account has both state and stateDiff',
  )
  .transform((given, issues): AccountOverride[] =>
    Object.entries(given).flatMap(([name, { balance, nonce, code, state, stateDiff }]) => {
      const address = addressParam.safeParse(name)
      if (!address.success) {
        issues.addIssue({ code: 'custom', message: `${name.slice(0, 64)} is no address` })
        return []
      }
      return [
        {
          address: address.data,
          balanceWei: balance ?? undefined,
          nonce: nonce ?? undefined,
          code: code ?? undefined,
          state: state ?? undefined,
          stateDiff: stateDiff ?? undefined,
        },
      ]
    }),
  )

/** The block that a call supposes to run in. */
export const blockOverrideParam = z
  .strictObject({
    number: smallQuantity.nullish(),
    time: smallQuantity.nullish(),
    gasLimit: smallQuantity.nullish(),
    feeRecipient: addressParam.nullish(),
    prevRandao: hash32Param.nullish(),
    baseFeePerGas: bigQuantity.nullish(),
    difficulty: bigQuantity.nullish(),
    blobBaseFee: bigQuantity.nullish(),
  })
  .transform(
    ({ number, time, gasLimit, feeRecipient, prevRandao, baseFeePerGas }): BlockOverrides => ({
      number: number ?? undefined,
      timestamp: time ?? undefined,
      gasLimit: gasLimit ?? undefined,
      feeRecipient: feeRecipient ?? undefined,
      prevRandao: prevRandao ?? undefined,
      baseFeeWei: baseFeePerGas ?? undefined,
    }),
  )

const TRACERS = ['callTracer', 'prestateTracer', 'noopTracer'] as const

/** How a trace is wanted. The node's own deadline stands in for `timeout`. */
export const traceConfigParam = z
  .looseObject({
    tracer: z
      .enum(TRACERS, `tracer not found: this node has ${TRACERS.join(', ')}`)
      .or(z.literal(''))
      .nullish(),
    tracerConfig: z
      .looseObject({
        onlyTopCall: z.boolean().nullish(),
        withLog: z.boolean().nullish(),
        diffMode: z.boolean().nullish(),
      })
      .nullish(),
    enableMemory: z.boolean().nullish(),
    disableStack: z.boolean().nullish(),
    disableStorage: z.boolean().nullish(),
    enableReturnData: z.boolean().nullish(),
    limit: z.number().int().min(0).nullish(),
    stateOverrides: stateOverrideParam.nullish(),
    blockOverrides: blockOverrideParam.nullish(),
  })
  .transform((given) => {
    const config: TraceConfig = {
      tracer: given.tracer || undefined,
      onlyTopCall: given.tracerConfig?.onlyTopCall ?? false,
      withLog: given.tracerConfig?.withLog ?? false,
      diffMode: given.tracerConfig?.diffMode ?? false,
      enableMemory: given.enableMemory ?? false,
      disableStack: given.disableStack ?? false,
      disableStorage: given.disableStorage ?? false,
      enableReturnData: given.enableReturnData ?? false,
      limit: given.limit ?? 0,
    }
    return {
      config,
      accounts: given.stateOverrides ?? undefined,
      block: given.blockOverrides ?? undefined,
    }
  })

/** How a set of alternatives may be given: one, several, or null for any. */
function alternatives<T extends z.ZodType<Uint8Array, string>>(one: T, most: number) {
  return z
    .union([one, z.array(one).max(most), z.null()])
    .transform((given): readonly Uint8Array[] => {
      if (given === null) return []
      return Array.isArray(given) ? given : [given]
    })
}

export interface LogFilterParam {
  readonly blockHash: Uint8Array | undefined
  readonly from: BlockRef
  readonly to: BlockRef
  readonly matcher: LogMatcher
}

const MAX_TOPICS = 4

export function logFilterParam(mostAlternatives: number) {
  return z
    .looseObject({
      fromBlock: blockNumberParam.nullish(),
      toBlock: blockNumberParam.nullish(),
      blockHash: hash32Param.nullish(),
      address: alternatives(addressParam, mostAlternatives).optional(),
      topics: z.array(alternatives(hash32Param, mostAlternatives)).max(MAX_TOPICS).nullish(),
    })
    .refine(
      ({ blockHash, fromBlock, toBlock }) =>
        blockHash == null || (fromBlock == null && toBlock == null),
      'blockHash excludes fromBlock and toBlock',
    )
    .transform(
      ({ blockHash, fromBlock, toBlock, address, topics }): LogFilterParam => ({
        blockHash: blockHash ?? undefined,
        from: fromBlock ?? LATEST,
        to: toBlock ?? LATEST,
        matcher: new LogMatcher(address ?? [], topics ?? []),
      }),
    )
}

/** Where and why parameters do not fit, in one line. */
export function describeIssues(error: z.ZodError): string {
  return error.issues
    .slice(0, 3)
    .map((issue) => {
      const [position, ...path] = issue.path
      const place =
        typeof position === 'number'
          ? `param ${position + 1}`
          : position === undefined
            ? ''
            : String(position)
      const where = [place, ...path.map(String)].filter((part) => part !== '').join('.')
      return where === '' ? issue.message : `${where}: ${issue.message}`
    })
    .join('; ')
}

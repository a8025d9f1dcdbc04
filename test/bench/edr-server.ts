/** EDR, Hardhat's node, behind HTTP as Hardhat serves it: `node edr-server.ts FOLDER PORT CHAIN_ID GAS_LIMIT INTERVAL_MS`. */
import { createServer } from 'node:http'
import { createRequire } from 'node:module'

const [folder = '', port = '', chainId = '', gasLimit = '', intervalMs = ''] = process.argv.slice(2)

interface Provider {
  handleRequest(request: string): Promise<{ readonly data: unknown }>
}
interface Edr {
  readonly EdrContext: new () => {
    registerProviderFactory(type: string, factory: unknown): Promise<void>
    createProvider(
      type: string,
      config: object,
      logger: object,
      subscriptions: object,
      decoder: unknown,
    ): Promise<Provider>
  }
  readonly ContractDecoder: new () => unknown
  readonly L1_CHAIN_TYPE: string
  readonly MineOrdering: { readonly Priority: string }
  readonly L1Hardfork: { readonly Osaka: unknown }
  l1ProviderFactory(): unknown
  l1GenesisState(hardfork: unknown): readonly object[]
  l1HardforkToString(hardfork: unknown): string
}

const edr: Edr = createRequire(`${folder}/package.json`)(folder)
const context = new edr.EdrContext()
await context.registerProviderFactory(edr.L1_CHAIN_TYPE, edr.l1ProviderFactory())
const provider = await context.createProvider(
  edr.L1_CHAIN_TYPE,
  {
    allowBlocksWithSameTimestamp: false,
    allowUnlimitedContractSize: false,
    bailOnCallFailure: false,
    bailOnTransactionFailure: false,
    chainId: BigInt(chainId),
    coinbase: new Uint8Array(20).fill(7),
    defaultTransactionGasLimit: 16_777_216n,
    genesisState: edr.l1GenesisState(edr.L1Hardfork.Osaka),
    hardfork: edr.l1HardforkToString(edr.L1Hardfork.Osaka),
    initialBaseFeePerGas: 1_000_000_000n,
    minGasPrice: 0n,
    mining: {
      autoMine: false,
      blockGasLimit: BigInt(gasLimit),
      interval: BigInt(intervalMs),
      memPool: { order: edr.MineOrdering.Priority },
    },
    network: { genesisBlockGasLimit: BigInt(gasLimit) },
    networkId: BigInt(chainId),
    observability: {},
    ownedAccounts: [],
    precompileOverrides: [],
  },
  { enable: false, decodeConsoleLogInputsCallback: () => [], printLineCallback: () => {} },
  { subscriptionCallback: () => {} },
  new edr.ContractDecoder(),
)

async function answer(request: unknown): Promise<unknown> {
  const { data } = await provider.handleRequest(JSON.stringify(request))
  const parsed = typeof data === 'string' ? JSON.parse(data) : data
  return { ...(parsed as object), id: (request as { readonly id: unknown }).id }
}

createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', async () => {
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'))
    const answers = Array.isArray(body) ? await Promise.all(body.map(answer)) : await answer(body)
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(answers))
  })
}).listen(Number(port), '127.0.0.1')

/** A process that writes blocks until it is killed or the disk fails, and says each height once it is acknowledged. */
import { openChainStore } from '../../node/adapters/chain-store/index.ts'

const store = await openChainStore(process.argv[2] as string)
for (let height = 1; ; height++) {
  const bytes = new Uint8Array(2000).fill(height & 255)
  const hash = new Uint8Array(32).fill(height & 255)
  hash[0] = height >> 8
  const key = Uint8Array.of(height & 127)
  try {
    await store.writeBlocks(
      [{ height, hash, bytes }],
      [{ set: 1, key, value: new Uint8Array(100).fill(height & 255) }],
    )
  } catch (error) {
    const { code, faultClass } = error as { readonly code?: string; readonly faultClass?: string }
    process.stdout.write(`${code} ${faultClass}\n`)
    process.exit(1)
  }
  process.stdout.write(`${height}\n`)
}

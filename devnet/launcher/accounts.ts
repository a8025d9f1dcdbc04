/** The ten accounts of the standard test mnemonic. Everybody knows their keys: they are for development only. */
import { HDNodeWallet, Mnemonic } from 'ethers'

const MNEMONIC = 'test test test test test test test test test test test junk'
const ACCOUNTS = 10

export interface DevelopmentAccount {
  readonly address: string
  readonly privateKey: string
}

export function developmentAccounts(): DevelopmentAccount[] {
  const mnemonic = Mnemonic.fromPhrase(MNEMONIC)
  return Array.from({ length: ACCOUNTS }, (_, index) => {
    const { address, privateKey } = HDNodeWallet.fromMnemonic(mnemonic, `m/44'/60'/0'/0/${index}`)
    return { address, privateKey }
  })
}

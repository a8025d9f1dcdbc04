// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// The way back to Bitcoin (protocol 4.4, 4.7). There is no owner, no proxy and no path out for value: what is sent here
/// stays for ever and is burned in that sense. The ledger takes it off the supply by the log, so this contract's balance
/// is a public count of everything burned. Nodes act on the events alone.
contract Bridge {
    uint256 private constant WEI_PER_SATOSHI = 1e10;
    uint256 private constant LONGEST_DESTINATION = 90;
    uint256 private constant SHORTEST_ADDRESS = 26;

    /// Smallest request. Slot 0, written by the genesis file and by nothing else.
    uint256 public minimumWei;

    event RequestPegOut(address indexed _evmAddress, bytes _bitcoinAddress, uint256 _value);
    event CancelPegOut(address indexed burner, bytes32 indexed id);
    event Fund(uint256 amount);

    error BelowMinimum(uint256 minimumWei);
    error NotWholeSatoshis();
    error NotPayable();

    /// Burns the value and asks for as many satoshis at `bitcoinAddress`: a scriptPubKey of a payable form, or an address
    /// as text, whose checksum and network the nodes judge. What they cannot pay comes back as a refund mint.
    function requestPegOut(bytes calldata bitcoinAddress) public payable {
        if (msg.value < minimumWei) revert BelowMinimum(minimumWei);
        if (msg.value % WEI_PER_SATOSHI != 0) revert NotWholeSatoshis();
        if (!isPayableScript(bitcoinAddress) && !isAddressText(bitcoinAddress)) revert NotPayable();
        emit RequestPegOut(msg.sender, bitcoinAddress, msg.value);
    }

    /// Takes back a request that no batch holds. The nodes check that the sender is its burner.
    function cancelPegOut(bytes32 id) external {
        emit CancelPegOut(msg.sender, id);
    }

    /// Burns the value in favour of the operating fund.
    function fund() external payable {
        if (msg.value == 0 || msg.value % WEI_PER_SATOSHI != 0) revert NotWholeSatoshis();
        emit Fund(msg.value);
    }

    /// p2pkh, p2sh, p2wpkh, p2wsh or p2tr.
    function isPayableScript(bytes calldata script) private pure returns (bool) {
        if (script.length == 25) {
            return bytes3(script[:3]) == 0x76a914 && bytes2(script[23:]) == 0x88ac;
        }
        if (script.length == 23) return bytes2(script[:2]) == 0xa914 && script[22] == 0x87;
        if (script.length == 22) return bytes2(script[:2]) == 0x0014;
        if (script.length == 34) {
            return bytes2(script[:2]) == 0x0020 || bytes2(script[:2]) == 0x5120;
        }
        return false;
    }

    /// Letters and digits only: no payable script is of that form.
    function isAddressText(bytes calldata text) private pure returns (bool) {
        if (text.length < SHORTEST_ADDRESS || text.length > LONGEST_DESTINATION) return false;
        for (uint256 i = 0; i < text.length; i++) {
            bytes1 c = text[i];
            bool isDigit = c >= 0x30 && c <= 0x39;
            bool isUpper = c >= 0x41 && c <= 0x5a;
            bool isLower = c >= 0x61 && c <= 0x7a;
            if (!isDigit && !isUpper && !isLower) return false;
        }
        return true;
    }
}

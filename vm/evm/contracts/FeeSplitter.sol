// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

interface IFund {
    function fund() external payable;
}

/// Divides the federation's part of the fees (protocol 4.3, 6.1). Pull only, no loop, no admin: the shares are in the
/// genesis file's storage and nothing can change them. Withdrawals credit the balance without running code.
contract FeeSplitter {
    address private constant BRIDGE = 0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB;
    uint256 private constant WEI_PER_SATOSHI = 1e10;

    /// Slot 0 and the map in slot 1 come from the genesis file.
    uint256 public totalShares;
    mapping(address => uint256) public shares;
    uint256 public totalReleased;
    mapping(address => uint256) public released;

    event Released(address indexed payee, uint256 amount);

    error NothingDue();
    error PaymentFailed();

    receive() external payable {}

    /// What `payee` could be paid now. The Bridge takes whole satoshis: its share goes to the operating fund.
    function due(address payee) public view returns (uint256 amount) {
        if (shares[payee] == 0) return 0;
        uint256 income = address(this).balance + totalReleased;
        amount = (income * shares[payee]) / totalShares - released[payee];
        if (payee == BRIDGE) amount -= amount % WEI_PER_SATOSHI;
    }

    /// Pays `payee` what is due to it. Anyone may call this.
    function release(address payee) external {
        uint256 amount = due(payee);
        if (amount == 0) revert NothingDue();
        released[payee] += amount;
        totalReleased += amount;
        emit Released(payee, amount);
        if (payee == BRIDGE) {
            IFund(BRIDGE).fund{value: amount}();
            return;
        }
        (bool paid, ) = payee.call{value: amount}("");
        if (!paid) revert PaymentFailed();
    }
}

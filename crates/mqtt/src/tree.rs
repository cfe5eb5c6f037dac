pub struct SubscriptionTree<K, V> {
    _k: std::marker::PhantomData<(K, V)>,
}

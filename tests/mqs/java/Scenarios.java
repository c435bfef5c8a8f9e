/* SPDX-License-Identifier: Apache-2.0 */
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;

import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.acl.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.quota.*;
import org.apache.kafka.common.requests.ListOffsetsResponse;
import org.apache.kafka.common.resource.*;
import org.apache.kafka.common.serialization.*;

/**
 * What programs do with Apache Kafka's client, and what user interfaces ask. usage: Scenarios NAME BOOTSTRAP
 */
public class Scenarios {
	private static String address;
	private static Admin admin;

	public static void main(String[] args) throws Exception {
		address = args[1];
		admin = Admin.create(Map.of("bootstrap.servers", address));
		try {
			Scenarios.class.getDeclaredMethod(args[0]).invoke(null);
		} finally {
			admin.close(Duration.ofSeconds(1));
		}
	}

	/* ---- helpers ---- */

	private static void check(boolean fine, Object what) {
		if (!fine)
			throw new AssertionError(String.valueOf(what));
	}

	private static void same(Object got, Object want) {
		check(want.equals(got), "got " + got + ", want " + want);
	}

	private static void until(BooleanSupplier fine, Object what) {
		for (long end = System.currentTimeMillis() + 30000; !fine.getAsBoolean();)
			check(System.currentTimeMillis() < end, "not in time: " + what);
	}

	private interface Call {
		void run() throws Exception;
	}

	private static void refused(Class<? extends Exception> type, Call call) throws Exception {
		try {
			call.run();
		} catch (Exception e) {
			Throwable t = e instanceof ExecutionException ? e.getCause() : e;

			if (type.isInstance(t))
				return;
			throw e;
		}
		throw new AssertionError("not refused: " + type);
	}

	private static void create(String topic, int partitions) throws Exception {
		admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all().get();
	}

	private static KafkaProducer<String, String> producer(String... more) {
		Properties p = new Properties();

		p.put("bootstrap.servers", address);
		for (int i = 0; i < more.length; i += 2)
			p.put(more[i], more[i + 1]);
		return new KafkaProducer<>(p, new StringSerializer(), new StringSerializer());
	}

	private static void write(String topic, int n) throws Exception {
		try (KafkaProducer<String, String> p = producer()) {
			for (int i = 0; i < n; i++)
				p.send(new ProducerRecord<>(topic, "k" + i, "v" + i));
		}
	}

	/** A member of a group that counts what happens to it. */
	private static class Member implements ConsumerRebalanceListener {
		final KafkaConsumer<String, String> consumer;
		final List<ConsumerRecord<String, String>> got = new ArrayList<>();
		final Set<TopicPartition> revoked = new HashSet<>();

		Member(String group, String... more) {
			Properties p = new Properties();

			p.put("bootstrap.servers", address);
			p.put("group.id", group);
			p.put("auto.offset.reset", "earliest");
			p.put("isolation.level", "read_committed");
			for (int i = 0; i < more.length; i += 2)
				p.put(more[i], more[i + 1]);
			if (!"consumer".equals(p.get("group.protocol"))) {
				p.putIfAbsent("session.timeout.ms", "6000");
				p.putIfAbsent("heartbeat.interval.ms", "100");
			}
			consumer = new KafkaConsumer<>(p, new StringDeserializer(), new StringDeserializer());
		}

		Member subscribe(String topic) {
			consumer.subscribe(List.of(topic), this);
			return this;
		}

		int parts() {
			for (ConsumerRecord<String, String> r : consumer.poll(Duration.ofMillis(20)))
				got.add(r);
			return consumer.assignment().size();
		}

		void leave() {
			consumer.close(CloseOptions.timeout(Duration.ofSeconds(10)));
		}

		@Override
		public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
			revoked.addAll(partitions);
		}

		@Override
		public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
		}
	}

	/* Both poll, whatever the first has already reached. */
	private static boolean have(Member a, int n, Member b, int m) {
		return a.parts() == n & b.parts() == m;
	}

	/* ---- groups ---- */

	private static void share(String name, String... settings) throws Exception {
		create(name, 4);
		Member a = new Member(name, settings).subscribe(name);

		until(() -> a.parts() == 4, "all to the first");
		Member b = new Member(name, settings).subscribe(name);

		until(() -> have(a, 2, b, 2), "two for each");
		Set<TopicPartition> both = new HashSet<>(a.consumer.assignment());

		both.addAll(b.consumer.assignment());
		same(both.size(), 4);
		write(name, 100);
		until(() -> (a.parts() + b.parts()) > 0 && a.got.size() + b.got.size() >= 100, "all records");
		check(!a.got.isEmpty() && !b.got.isEmpty(), "both read");
		b.leave();
		until(() -> a.parts() == 4, "all back to the first");
		write(name, 100);
		until(() -> a.parts() == 4 && a.got.size() + b.got.size() >= 200, "the rest");
		Set<String> seen = new HashSet<>();

		a.got.forEach(r -> seen.add(r.partition() + ":" + r.offset()));
		b.got.forEach(r -> seen.add(r.partition() + ":" + r.offset()));
		same(seen.size(), 200);
		a.leave();
	}

	static void classic() throws Exception {
		share("java-classic");
	}

	static void consumer() throws Exception {
		share("java-consumer", "group.protocol", "consumer");
	}

	static void cooperative() throws Exception {
		String[] settings = {"partition.assignment.strategy", CooperativeStickyAssignor.class.getName()};

		create("java-coop", 4);
		Member a = new Member("java-coop", settings).subscribe("java-coop");

		until(() -> a.parts() == 4, "all to the first");
		Member b = new Member("java-coop", settings).subscribe("java-coop");

		until(() -> have(a, 2, b, 2), "two for each");
		same(a.revoked, b.consumer.assignment());
		Set<TopicPartition> kept = Set.copyOf(a.consumer.assignment());

		b.leave();
		until(() -> a.parts() == 4, "all back to the first");
		check(Collections.disjoint(a.revoked, kept), a.revoked);
		a.leave();
	}

	/* A static member that comes back within its session has its partitions, and the others notice nothing. */
	private static void comesBack(String name, String... settings) throws Exception {
		create(name, 4);
		String[] one = withId("one", settings), two = withId("two", settings);
		Member a = new Member(name, one).subscribe(name), b = new Member(name, two).subscribe(name);

		until(() -> have(a, 2, b, 2), "two for each");
		Set<TopicPartition> had = Set.copyOf(b.consumer.assignment());

		a.revoked.clear();
		b.leave();
		Member back = new Member(name, two).subscribe(name);

		until(() -> have(a, 2, back, 2), "two for each again");
		same(back.consumer.assignment(), had);
		check(a.revoked.isEmpty(), a.revoked);
		ConsumerGroupDescription d = admin.describeConsumerGroups(List.of(name)).describedGroups().get(name).get();

		same(d.members().stream().map(m -> m.groupInstanceId().get()).collect(Collectors.toSet()), Set.of("one", "two"));
		admin.removeMembersFromConsumerGroup(name, new RemoveMembersFromConsumerGroupOptions(
				List.of(new MemberToRemove("two")))).all().get();
		until(() -> a.parts() == 4, "all to the one that stays");
		a.leave();
		back.leave();
	}

	private static String[] withId(String id, String[] settings) {
		List<String> all = new ArrayList<>(List.of(settings));

		all.addAll(List.of("group.instance.id", id));
		return all.toArray(new String[0]);
	}

	static void staticClassic() throws Exception {
		comesBack("java-static");
	}

	static void staticConsumer() throws Exception {
		comesBack("java-static-consumer", "group.protocol", "consumer");
	}

	static void pattern() throws Exception {
		create("java-pattern-a", 1);
		create("java-other", 1);
		Member a = new Member("java-pattern", "group.protocol", "consumer");

		a.consumer.subscribe(new SubscriptionPattern("java-pattern-.*"), a);
		until(() -> a.parts() == 1, "the topic that is there");
		create("java-pattern-b", 2);
		until(() -> a.parts() == 3, "the topic that came");
		a.leave();
	}

	/* ---- transactions ---- */

	static void transactions() throws Exception {
		create("java-in", 1);
		create("java-out", 1);
		write("java-in", 6);
		Member source = new Member("java-eos", "enable.auto.commit", "false").subscribe("java-in");

		until(() -> source.parts() == 1 && source.got.size() == 6, "input");
		KafkaProducer<String, String> p = producer("transactional.id", "java", "transaction.timeout.ms", "60000");
		TopicPartition in = new TopicPartition("java-in", 0);
		List<String> want = new ArrayList<>();

		p.initTransactions();
		for (int i = 0; i < 6; i++) {
			p.beginTransaction();
			for (int k = 0; k < 3; k++)
				p.send(new ProducerRecord<>("java-out", i + "-" + k));
			p.sendOffsetsToTransaction(Map.of(in, new OffsetAndMetadata(i + 1)), source.consumer.groupMetadata());
			if (i % 2 == 1) {
				p.abortTransaction();
			} else {
				p.commitTransaction();
				want.addAll(List.of(i + "-0", i + "-1", i + "-2"));
			}
		}
		same(admin.listConsumerGroupOffsets("java-eos").partitionsToOffsetAndMetadata().get().get(in).offset(), 5L);
		Member out = new Member("java-out").subscribe("java-out");

		until(() -> out.parts() == 1 && out.got.size() >= 9, "output");
		same(out.got.stream().map(ConsumerRecord::value).collect(Collectors.toList()), want);
		/* An open transaction is not read past, and an administrator can end it. */
		p.beginTransaction();
		p.send(new ProducerRecord<>("java-out", "open")).get();
		try (KafkaProducer<String, String> other = producer()) {
			other.send(new ProducerRecord<>("java-out", "behind")).get();
		}
		TopicPartition tp = new TopicPartition("java-out", 0);

		ProducerState state = admin.describeProducers(List.of(tp)).partitionResult(tp).get().activeProducers().stream()
				.filter(s -> s.currentTransactionStartOffset().isPresent()).findFirst().get();
		same(admin.describeTransactions(List.of("java")).description("java").get().state(), TransactionState.ONGOING);
		same(admin.describeTransactions(List.of("java")).description("java").get().topicPartitions(), Set.of(tp));
		check(admin.listTransactions(new ListTransactionsOptions().filterStates(Set.of(TransactionState.ONGOING))).all().get()
				.stream().anyMatch(t -> t.transactionalId().equals("java") && t.producerId() == state.producerId()), "list");
		same(out.parts(), 1);
		same(out.got.size(), 9);
		admin.fenceProducers(List.of("java")).all().get();
		until(() -> out.parts() == 1 && out.got.size() == 10, "what is behind");
		same(out.got.get(9).value(), "behind");
		refused(ProducerFencedException.class, p::commitTransaction);
		p.close(Duration.ZERO);
		source.leave();
		out.leave();
	}

	/* Its producer is gone, its time is not over: an administrator ends it in the partition. */
	static void hanging() throws Exception {
		create("java-hanging", 1);
		KafkaProducer<String, String> p = producer("transactional.id", "java-hanging", "transaction.timeout.ms", "900000");
		TopicPartition tp = new TopicPartition("java-hanging", 0);

		p.initTransactions();
		p.beginTransaction();
		p.send(new ProducerRecord<>("java-hanging", "lost")).get();
		p.close(Duration.ZERO);
		try (KafkaProducer<String, String> other = producer()) {
			other.send(new ProducerRecord<>("java-hanging", "behind")).get();
		}
		Member m = new Member("java-hanging").subscribe("java-hanging");

		until(() -> m.parts() == 1, "the partition");
		same(m.got.size(), 0);
		ProducerState state = admin.describeProducers(List.of(tp)).partitionResult(tp).get().activeProducers().stream()
				.filter(s -> s.currentTransactionStartOffset().isPresent()).findFirst().get();
		short epoch = (short) state.producerEpoch();
		int coordinator = Math.max(0, state.coordinatorEpoch().orElse(0));

		refused(InvalidProducerEpochException.class, () -> admin.abortTransaction(
				new AbortTransactionSpec(tp, state.producerId(), (short) (epoch - 1), coordinator)).all().get());
		admin.abortTransaction(new AbortTransactionSpec(tp, state.producerId(), epoch, coordinator)).all().get();
		until(() -> m.parts() == 1 && m.got.size() == 1, "what is behind");
		same(m.got.get(0).value(), "behind");
		m.leave();
	}

	static void timedOut() throws Exception {
		create("java-late", 1);
		KafkaProducer<String, String> p = producer("transactional.id", "java-late", "transaction.timeout.ms", "500");

		p.initTransactions();
		p.beginTransaction();
		p.send(new ProducerRecord<>("java-late", "late")).get();
		Member m = new Member("java-late").subscribe("java-late");

		try (KafkaProducer<String, String> other = producer()) {
			other.send(new ProducerRecord<>("java-late", "other")).get();
		}
		until(() -> m.parts() == 1 && m.got.size() == 1, "what is behind the transaction that was given up");
		same(m.got.get(0).value(), "other");
		refused(KafkaException.class, p::commitTransaction);
		p.close(Duration.ZERO);
		m.leave();
	}

	/* ---- quotas ---- */

	private static double metric(Map<MetricName, ? extends Metric> all, String name) {
		return all.entrySet().stream().filter(e -> e.getKey().name().equals(name))
				.mapToDouble(e -> (Double) e.getValue().metricValue()).filter(v -> !Double.isNaN(v)).max().orElse(0);
	}

	static void quotas() throws Exception {
		create("java-quota", 1);
		ClientQuotaEntity who = new ClientQuotaEntity(Map.of("client-id", "java-slow"));

		admin.alterClientQuotas(List.of(new ClientQuotaAlteration(who, List.of(
				new ClientQuotaAlteration.Op("producer_byte_rate", 200000.0),
				new ClientQuotaAlteration.Op("consumer_byte_rate", 200000.0))))).all().get();
		long begun = System.nanoTime();

		try (KafkaProducer<String, String> p = producer("client.id", "java-slow", "batch.size", "10000")) {
			for (int i = 0; i < 60; i++)
				p.send(new ProducerRecord<>("java-quota", "x".repeat(10000))).get();
			check(metric(p.metrics(), "produce-throttle-time-max") > 0, "the producer was told");
		}
		check(System.nanoTime() - begun > 1500000000L, "produced in " + (System.nanoTime() - begun));
		begun = System.nanoTime();
		Member m = new Member("java-quota", "client.id", "java-slow", "max.partition.fetch.bytes", "20000").subscribe("java-quota");

		until(() -> m.parts() == 1 && m.got.size() == 60, "all records");
		check(System.nanoTime() - begun > 1500000000L, "consumed in " + (System.nanoTime() - begun));
		check(metric(m.consumer.metrics(), "fetch-throttle-time-max") > 0, "the consumer was told");
		m.leave();
		admin.alterClientQuotas(List.of(new ClientQuotaAlteration(who, List.of(
				new ClientQuotaAlteration.Op("producer_byte_rate", null),
				new ClientQuotaAlteration.Op("consumer_byte_rate", null))))).all().get();
		check(!admin.describeClientQuotas(ClientQuotaFilter.all()).entities().get().containsKey(who), "the quota is gone");
	}

	/* ---- what user interfaces ask ---- */

	static void cluster() throws Exception {
		DescribeClusterResult d = admin.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true));

		same(d.nodes().get().size(), 1);
		same(d.controller().get().id(), 1);
		same(d.clusterId().get().length(), 22);
		check(d.authorizedOperations().get().contains(AclOperation.ALTER_CONFIGS), d.authorizedOperations().get());
		QuorumInfo q = admin.describeMetadataQuorum().quorumInfo().get();

		same(q.leaderId(), 1);
		same(q.voters().size(), 1);
		check(q.voters().get(0).logEndOffset() >= 0, q);
		FeatureMetadata f = admin.describeFeatures().featureMetadata().get();

		same(f.finalizedFeatures().get("group.version").maxVersionLevel(), (short) 1);
		same(f.finalizedFeatures().get("transaction.version").maxVersionLevel(), (short) 2);
		check(f.finalizedFeatures().containsKey("metadata.version"), f);
		same(admin.describeUserScramCredentials().all().get().isEmpty(), true);
		admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion("sue",
				new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 5000), "secret"))).all().get();
		same(admin.describeUserScramCredentials(List.of("sue")).description("sue").get().credentialInfos(),
				List.of(new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 5000)));
		admin.alterUserScramCredentials(List.of(new UserScramCredentialDeletion("sue", ScramMechanism.SCRAM_SHA_512))).all().get();
		refused(ResourceNotFoundException.class, () -> admin.describeUserScramCredentials(List.of("sue")).description("sue").get());
		same(admin.listClientMetricsResources().all().get().size(), 0);
		check(admin.listConfigResources().all().get().contains(new ConfigResource(ConfigResource.Type.BROKER, "1")), "resources");
	}

	static void topics() throws Exception {
		create("ui", 3);
		write("ui", 100);
		TopicDescription d = admin.describeTopics(List.of("ui"), new DescribeTopicsOptions().includeAuthorizedOperations(true))
				.allTopicNames().get().get("ui");

		same(d.partitions().size(), 3);
		same(d.partitions().get(2).isr().get(0).id(), 1);
		check(d.authorizedOperations().contains(AclOperation.DELETE), d);
		same(admin.describeTopics(TopicCollection.ofTopicIds(List.of(d.topicId()))).allTopicIds().get().get(d.topicId()).name(), "ui");
		refused(UnknownTopicOrPartitionException.class, () -> admin.describeTopics(List.of("no")).allTopicNames().get());
		check(admin.listTopics().names().get().contains("ui"), "list");
		check(admin.listTopics().names().get().stream().noneMatch(n -> n.startsWith("__")), "internal topics are not listed");
		check(admin.listTopics(new ListTopicsOptions().listInternal(true)).names().get().contains("ui"), "list");
		ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, "ui");
		ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, "1");
		Map<ConfigResource, Config> configs = admin.describeConfigs(List.of(topic, broker), new DescribeConfigsOptions()
				.includeSynonyms(true).includeDocumentation(true)).all().get();
		ConfigEntry retention = configs.get(topic).get("retention.ms");

		same(retention.type(), ConfigEntry.ConfigType.LONG);
		check(!retention.documentation().isEmpty() && !retention.synonyms().isEmpty(), retention);
		check(configs.get(topic).get("segment.index.bytes").isDefault(), configs.get(topic));
		check(configs.get(broker).get("log.retention.ms") != null, configs.get(broker));
		admin.incrementalAlterConfigs(Map.of(topic, List.of(
				new AlterConfigOp(new ConfigEntry("retention.ms", "7200000"), AlterConfigOp.OpType.SET),
				new AlterConfigOp(new ConfigEntry("cleanup.policy", "compact"), AlterConfigOp.OpType.APPEND)))).all().get();
		Config now = admin.describeConfigs(List.of(topic)).all().get().get(topic);

		same(now.get("retention.ms").value(), "7200000");
		same(now.get("retention.ms").source(), ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG);
		same(new TreeSet<>(List.of(now.get("cleanup.policy").value().split(","))), new TreeSet<>(List.of("compact", "delete")));
		refused(InvalidConfigurationException.class, () -> admin.incrementalAlterConfigs(Map.of(topic, List.of(
				new AlterConfigOp(new ConfigEntry("retention.ms", "x"), AlterConfigOp.OpType.SET)))).all().get());
		admin.createPartitions(Map.of("ui", NewPartitions.increaseTo(5))).all().get();
		refused(InvalidPartitionsException.class, () -> admin.createPartitions(Map.of("ui", NewPartitions.increaseTo(4))).all().get());
		admin.createPartitions(Map.of("ui", NewPartitions.increaseTo(9)), new CreatePartitionsOptions().validateOnly(true)).all().get();
		same(admin.describeTopics(List.of("ui")).allTopicNames().get().get("ui").partitions().size(), 5);
		LogDirDescription dir = admin.describeLogDirs(List.of(1)).allDescriptions().get().get(1).values().iterator().next();

		check(dir.error() == null && dir.totalBytes().getAsLong() > dir.usableBytes().getAsLong(), dir);
		check(dir.replicaInfos().get(new TopicPartition("ui", 0)).size() > 0, dir.replicaInfos());
		TopicPartitionReplica replica = new TopicPartitionReplica("ui", 0, 1);
		String path = admin.describeReplicaLogDirs(List.of(replica)).all().get().get(replica).getCurrentReplicaLogDir();

		admin.alterReplicaLogDirs(Map.of(replica, path)).all().get();
		same(admin.listPartitionReassignments().reassignments().get().size(), 0);
		admin.alterPartitionReassignments(Map.of(new TopicPartition("ui", 0),
				Optional.of(new NewPartitionReassignment(List.of(1))))).all().get();
		refused(KafkaException.class, () -> admin.alterPartitionReassignments(Map.of(new TopicPartition("ui", 0),
				Optional.of(new NewPartitionReassignment(List.of(2))))).all().get());
		refused(ElectionNotNeededException.class, () -> admin.electLeaders(ElectionType.PREFERRED,
				Set.of(new TopicPartition("ui", 0))).partitions().get().get(new TopicPartition("ui", 0)).ifPresent(e -> {
					throw (RuntimeException) e; }));
		check(admin.describeProducers(List.of(new TopicPartition("ui", 0))).all().get().get(new TopicPartition("ui", 0))
				.activeProducers().size() == 1, "the producer");
		admin.deleteTopics(List.of("ui")).all().get();
		refused(UnknownTopicOrPartitionException.class, () -> admin.deleteTopics(List.of("ui")).all().get());
	}

	private static long offset(TopicPartition tp, OffsetSpec spec) throws Exception {
		return admin.listOffsets(Map.of(tp, spec)).all().get().get(tp).offset();
	}

	static void offsets() throws Exception {
		create("ui-offsets", 1);
		TopicPartition tp = new TopicPartition("ui-offsets", 0);
		long hour = System.currentTimeMillis() - 3600000;

		same(offset(tp, OffsetSpec.maxTimestamp()), ListOffsetsResponse.UNKNOWN_OFFSET);
		try (KafkaProducer<String, String> p = producer()) {
			for (long t : new long[] {100, 300, 200})
				p.send(new ProducerRecord<>("ui-offsets", 0, hour + t, "k", "v")).get();
		}
		same(offset(tp, OffsetSpec.earliest()), 0L);
		same(offset(tp, OffsetSpec.latest()), 3L);
		same(offset(tp, OffsetSpec.maxTimestamp()), 1L);
		same(offset(tp, OffsetSpec.forTimestamp(hour + 150)), 1L);
		same(offset(tp, OffsetSpec.forTimestamp(hour + 300)), 1L);
		same(offset(tp, OffsetSpec.forTimestamp(hour + 301)), ListOffsetsResponse.UNKNOWN_OFFSET);
		same(offset(tp, OffsetSpec.earliestLocal()), 0L);
		same(offset(tp, OffsetSpec.latestTiered()), ListOffsetsResponse.UNKNOWN_OFFSET);
		same(admin.listOffsets(Map.of(tp, OffsetSpec.maxTimestamp())).all().get().get(tp).timestamp(), hour + 300);
		same(admin.deleteRecords(Map.of(tp, RecordsToDelete.beforeOffset(2))).lowWatermarks().get(tp).get().lowWatermark(), 2L);
		same(offset(tp, OffsetSpec.earliest()), 2L);
		refused(org.apache.kafka.common.errors.OffsetOutOfRangeException.class, 
				() -> admin.deleteRecords(Map.of(tp, RecordsToDelete.beforeOffset(9))).all().get());
		/* A consumer that is behind goes to what is there. */
		Member m = new Member("ui-behind").subscribe("ui-offsets");

		admin.alterConsumerGroupOffsets("ui-behind", Map.of(tp, new OffsetAndMetadata(0, "note"))).all().get();
		same(admin.listConsumerGroupOffsets("ui-behind").partitionsToOffsetAndMetadata().get().get(tp).metadata(), "note");
		until(() -> m.parts() == 1 && m.got.size() == 1, "the last record");
		same(m.consumer.currentLag(tp).getAsLong(), 0L);
		same(m.consumer.offsetsForTimes(Map.of(tp, hour)).get(tp).offset(), 2L);
		same(m.consumer.beginningOffsets(List.of(tp)).get(tp), 2L);
		m.leave();
	}

	static void groups() throws Exception {
		create("ui-groups", 2);
		write("ui-groups", 20);
		TopicPartition tp = new TopicPartition("ui-groups", 0);
		Member a = new Member("ui-a").subscribe("ui-groups");
		Member b = new Member("ui-b", "group.protocol", "consumer").subscribe("ui-groups");

		until(() -> have(a, 2, b, 2) && a.got.size() == 20 && b.got.size() == 20, "both");
		a.consumer.commitSync();
		b.consumer.commitSync();
		Map<String, ConsumerGroupDescription> d = admin.describeConsumerGroups(List.of("ui-a", "ui-b"),
				new DescribeConsumerGroupsOptions().includeAuthorizedOperations(true)).all().get();

		same(d.get("ui-a").groupState(), GroupState.STABLE);
		same(d.get("ui-a").type(), GroupType.CLASSIC);
		same(d.get("ui-b").type(), GroupType.CONSUMER);
		same(d.get("ui-b").partitionAssignor(), "uniform");
		for (ConsumerGroupDescription g : d.values()) {
			same(g.members().iterator().next().assignment().topicPartitions().size(), 2);
			same(g.coordinator().id(), 1);
			check(g.authorizedOperations().contains(AclOperation.READ), g);
		}
		Map<String, GroupListing> listed = new HashMap<>();

		admin.listGroups(new ListGroupsOptions().withTypes(Set.of(GroupType.CONSUMER)).inGroupStates(Set.of(GroupState.STABLE)))
				.all().get().forEach(g -> listed.put(g.groupId(), g));
		check(listed.containsKey("ui-b") && !listed.containsKey("ui-a"), listed);
		same(admin.listGroups(ListGroupsOptions.forConsumerGroups()).all().get().stream().filter(g -> g.groupId().startsWith("ui-"))
				.filter(g -> g.groupState().get() == GroupState.STABLE).count(), 2L);
		check(admin.listConsumerGroupOffsets(Map.of("ui-a", new ListConsumerGroupOffsetsSpec(), "ui-b",
				new ListConsumerGroupOffsetsSpec())).all().get().values().stream().allMatch(o -> o.size() == 2), "offsets of both");
		refused(GroupNotEmptyException.class, () -> admin.deleteConsumerGroups(List.of("ui-a")).all().get());
		refused(KafkaException.class, () -> admin.alterConsumerGroupOffsets("ui-a", Map.of(tp, new OffsetAndMetadata(0))).all().get());
		refused(GroupSubscribedToTopicException.class, () -> admin.deleteConsumerGroupOffsets("ui-a", Set.of(tp)).all().get());
		a.leave();
		b.leave();
		for (String group : List.of("ui-a", "ui-b")) {
			admin.alterConsumerGroupOffsets(group, Map.of(tp, new OffsetAndMetadata(1))).all().get();
			same(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(tp).offset(), 1L);
			admin.deleteConsumerGroupOffsets(group, Set.of(tp)).all().get();
			check(!admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().containsKey(tp), group);
			admin.deleteConsumerGroups(List.of(group)).all().get();
			refused(GroupIdNotFoundException.class, () -> admin.describeConsumerGroups(List.of(group)).all().get());
		}
		refused(GroupIdNotFoundException.class, () -> admin.deleteConsumerGroups(List.of("ui-a")).all().get());
	}

	static void acls() throws Exception {
		same(admin.describeAcls(AclBindingFilter.ANY).values().get().size(), 0);
		AclBinding one = new AclBinding(new ResourcePattern(ResourceType.TOPIC, "acl-", PatternType.PREFIXED),
				new AccessControlEntry("User:sue", "*", AclOperation.READ, AclPermissionType.ALLOW));
		AclBinding two = new AclBinding(new ResourcePattern(ResourceType.CLUSTER, "kafka-cluster", PatternType.LITERAL),
				new AccessControlEntry("User:*", "10.0.0.1", AclOperation.ALTER, AclPermissionType.DENY));

		admin.createAcls(List.of(one, two)).all().get();
		same(Set.copyOf(admin.describeAcls(AclBindingFilter.ANY).values().get()), Set.of(one, two));
		same(List.copyOf(admin.describeAcls(new AclBindingFilter(new ResourcePatternFilter(ResourceType.TOPIC, "acl-x", PatternType.MATCH),
				AccessControlEntryFilter.ANY)).values().get()), List.of(one));
		same(admin.deleteAcls(List.of(AclBindingFilter.ANY)).all().get().size(), 2);
		ClientQuotaEntity everybody = new ClientQuotaEntity(Collections.singletonMap("user", null));

		admin.alterClientQuotas(List.of(new ClientQuotaAlteration(everybody, List.of(
				new ClientQuotaAlteration.Op("request_percentage", 200.0))))).all().get();
		same(admin.describeClientQuotas(ClientQuotaFilter.contains(List.of(ClientQuotaFilterComponent.ofDefaultEntity("user"))))
				.entities().get(), Map.of(everybody, Map.of("request_percentage", 200.0)));
		admin.alterClientQuotas(List.of(new ClientQuotaAlteration(everybody, List.of(
				new ClientQuotaAlteration.Op("request_percentage", null))))).all().get();
		refused(KafkaException.class, () -> admin.alterClientQuotas(List.of(new ClientQuotaAlteration(everybody, List.of(
				new ClientQuotaAlteration.Op("no_such_rate", 1.0))))).all().get());
	}
}

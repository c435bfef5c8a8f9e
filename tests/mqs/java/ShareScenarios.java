/* SPDX-License-Identifier: Apache-2.0 */
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.*;

/**
 * Apache Kafka's own share consumer (KIP-932). usage: ShareScenarios NAME BOOTSTRAP
 */
public class ShareScenarios {
	private static String address;
	private static Admin admin;

	public static void main(String[] args) throws Exception {
		address = args[1];
		admin = Admin.create(Map.of("bootstrap.servers", address));
		try {
			ShareScenarios.class.getDeclaredMethod(args[0]).invoke(null);
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

	private static KafkaProducer<String, String> producer(String... more) {
		Properties p = new Properties();

		p.put("bootstrap.servers", address);
		for (int i = 0; i < more.length; i += 2)
			p.put(more[i], more[i + 1]);
		return new KafkaProducer<>(p, new StringSerializer(), new StringSerializer());
	}

	private static void write(String topic, int from, int to) throws Exception {
		try (KafkaProducer<String, String> p = producer()) {
			for (int i = from; i < to; i++)
				p.send(new ProducerRecord<>(topic, "k" + i, "v" + i));
		}
	}

	private static void create(String topic, int partitions, String group, String... more) throws Exception {
		List<AlterConfigOp> ops = new ArrayList<>();

		admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all().get();
		ops.add(set("share.auto.offset.reset", "earliest"));
		for (int i = 0; i < more.length; i += 2)
			ops.add(set(more[i], more[i + 1]));
		admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, group), ops)).all().get();
	}

	private static AlterConfigOp set(String name, String value) {
		return new AlterConfigOp(new ConfigEntry(name, value), AlterConfigOp.OpType.SET);
	}

	private static KafkaShareConsumer<String, String> consumer(String group, String topic, String... more) {
		Properties p = new Properties();

		p.put("bootstrap.servers", address);
		p.put("group.id", group);
		for (int i = 0; i < more.length; i += 2)
			p.put(more[i], more[i + 1]);
		KafkaShareConsumer<String, String> c = new KafkaShareConsumer<>(p, new StringDeserializer(), new StringDeserializer());

		c.subscribe(List.of(topic));
		return c;
	}

	/** Polls until there is something. */
	private static List<ConsumerRecord<String, String>> some(KafkaShareConsumer<String, String> c) {
		List<ConsumerRecord<String, String>> got = new ArrayList<>();

		for (long end = System.currentTimeMillis() + 30000; got.isEmpty();) {
			check(System.currentTimeMillis() < end, "nothing came");
			c.poll(Duration.ofMillis(200)).forEach(got::add);
		}
		return got;
	}

	private static Map<Integer, Long> starts(String group, String topic) throws Exception {
		Map<Integer, Long> out = new HashMap<>();

		for (Map.Entry<TopicPartition, SharePartitionOffsetInfo> e :
		     admin.listShareGroupOffsets(Map.of(group, new ListShareGroupOffsetsSpec())).partitionsToOffsetInfo(group).get().entrySet())
			if (e.getKey().topic().equals(topic) && e.getValue() != null)
				out.put(e.getKey().partition(), e.getValue().startOffset());
		return out;
	}

	/* ---- scenarios ---- */

	/** Each record is taken once, by several consumers of the same partitions, in their usual way. */
	static void implicit() throws Exception {
		Map<String, AtomicInteger> seen = new ConcurrentHashMap<>();
		List<Thread> threads = new ArrayList<>();
		AtomicInteger failed = new AtomicInteger();
		CountDownLatch ready = new CountDownLatch(4);

		create("share-implicit", 2, "share-implicit");
		for (int i = 0; i < 4; i++) {
			Thread t = new Thread(() -> {
				try (KafkaShareConsumer<String, String> c = consumer("share-implicit", "share-implicit", "max.poll.records", "50")) {
					for (long end = System.currentTimeMillis() + 60000; seen.size() < 3000 && System.currentTimeMillis() < end;)
						for (ConsumerRecord<String, String> r : c.poll(Duration.ofMillis(100)))
							seen.computeIfAbsent(r.value(), k -> new AtomicInteger()).incrementAndGet();
					for (Optional<KafkaException> e : c.commitSync().values())
						check(e.isEmpty(), e);
					/* Nobody gives anything back while others still poll. */
					ready.countDown();
					check(ready.await(60, TimeUnit.SECONDS), "the others");
				} catch (Exception e) {
					e.printStackTrace();
					failed.incrementAndGet();
				}
			});
			t.start();
			threads.add(t);
		}
		for (int i = 0; i < 3000; i += 300)
			write("share-implicit", i, i + 300);
		for (Thread t : threads)
			t.join();
		same(failed.get(), 0);
		same(seen.size(), 3000);
		same(seen.values().stream().filter(n -> n.get() != 1).count(), 0L);
		/* The client may close without having sent all acknowledgements: what they were for comes once more. */
		try (KafkaShareConsumer<String, String> c = consumer("share-implicit", "share-implicit")) {
			for (long end = System.currentTimeMillis() + 60000, total = 0; total != 3000;) {
				check(System.currentTimeMillis() < end, starts("share-implicit", "share-implicit"));
				c.poll(Duration.ofMillis(100));
				c.commitSync();
				total = 0;
				for (long n : starts("share-implicit", "share-implicit").values())
					total += n;
			}
		}
	}

	/** Every record by itself: accepted, released, rejected. */
	static void explicit() throws Exception {
		create("share-explicit", 1, "share-explicit");
		write("share-explicit", 0, 30);
		try (KafkaShareConsumer<String, String> c = consumer("share-explicit", "share-explicit", "share.acknowledgement.mode", "explicit")) {
			Map<Long, Integer> released = new HashMap<>();
			Set<Long> done = new HashSet<>();
			List<Exception> errors = new ArrayList<>();

			c.setAcknowledgementCommitCallback((offsets, e) -> {
				if (e != null)
					errors.add(e);
			});
			while (done.size() < 30) {
				for (ConsumerRecord<String, String> r : some(c)) {
					int before = released.getOrDefault(r.offset(), 0);

					same(r.deliveryCount(), Optional.of((short) (before + 1)));
					check(!done.contains(r.offset()), r);
					if (r.offset() % 3 == 0 && before < 2) {
						released.put(r.offset(), before + 1);
						c.acknowledge(r, AcknowledgeType.RELEASE);
					} else {
						done.add(r.offset());
						c.acknowledge(r, r.offset() % 3 == 1 ? AcknowledgeType.REJECT : AcknowledgeType.ACCEPT);
					}
				}
				for (Optional<KafkaException> e : c.commitSync().values())
					check(e.isEmpty(), e);
			}
			same(released.size(), 10);
			check(errors.isEmpty(), errors);
			same(starts("share-explicit", "share-explicit"), Map.of(0, 30L));
			check(c.acquisitionLockTimeoutMs().equals(Optional.of(30000)), c.acquisitionLockTimeoutMs());
		}
	}

	/** Records are kept for longer than their lock lasts, and never more than wished. */
	static void renew() throws Exception {
		create("share-renew", 1, "share-renew");
		write("share-renew", 0, 5);
		try (KafkaShareConsumer<String, String> c = consumer("share-renew", "share-renew", "share.acknowledgement.mode", "explicit",
				"max.poll.records", "2", "share.acquire.mode", "record_limit")) {
			List<ConsumerRecord<String, String>> got = some(c);

			same(got.size(), 2);
			for (ConsumerRecord<String, String> r : got)
				c.acknowledge(r, AcknowledgeType.RENEW);
			for (Optional<KafkaException> e : c.commitSync().values())
				check(e.isEmpty(), e);
			/* They come once more, without having been delivered anew. */
			Set<Long> again = new HashSet<>();

			for (ConsumerRecord<String, String> r : some(c)) {
				again.add(r.offset());
				c.acknowledge(r);
			}
			same(again, Set.of(0L, 1L));
			for (Optional<KafkaException> e : c.commitSync().values())
				check(e.isEmpty(), e);
			same(starts("share-renew", "share-renew"), Map.of(0, 2L));
		}
	}

	/** What a consumer that closes had in hand goes to another one. */
	static void closing() throws Exception {
		create("share-closing", 1, "share-closing");
		write("share-closing", 0, 10);
		KafkaShareConsumer<String, String> a = consumer("share-closing", "share-closing", "share.acknowledgement.mode", "explicit");
		List<ConsumerRecord<String, String>> got = some(a);

		same(got.size(), 10);
		for (ConsumerRecord<String, String> r : got.subList(0, 4))
			a.acknowledge(r);
		a.close();
		try (KafkaShareConsumer<String, String> b = consumer("share-closing", "share-closing")) {
			Set<Long> rest = new HashSet<>();

			while (rest.size() < 6)
				for (ConsumerRecord<String, String> r : some(b))
					rest.add(r.offset());
			b.commitSync();
			same(rest, Set.of(4L, 5L, 6L, 7L, 8L, 9L));
		}
		same(starts("share-closing", "share-closing"), Map.of(0, 10L));
	}

	/** Committed transactions only, with markers in between. */
	static void transactions() throws Exception {
		Set<String> seen = new HashSet<>(), want = new HashSet<>();

		create("share-txn", 1, "share-txn", "share.isolation.level", "read_committed");
		try (KafkaProducer<String, String> p = producer("transactional.id", "share-txn");
		     KafkaShareConsumer<String, String> c = consumer("share-txn", "share-txn")) {
			List<String> errors = new ArrayList<>();

			c.setAcknowledgementCommitCallback((offsets, e) -> {
				if (e != null)
					errors.add(offsets + ": " + e);
			});
			p.initTransactions();
			for (int i = 0; i < 20; i++) {
				p.beginTransaction();
				for (int k = 0; k < 5; k++) {
					p.send(new ProducerRecord<>("share-txn", "v" + i + "-" + k));
					if (i % 2 == 0)
						want.add("v" + i + "-" + k);
				}
				p.flush();
				if (i % 2 == 0)
					p.commitTransaction();
				else
					p.abortTransaction();
			}
			while (seen.size() < want.size())
				for (ConsumerRecord<String, String> r : some(c))
					check(seen.add(r.value()), r);
			same(seen, want);
			for (Optional<KafkaException> e : c.commitSync().values())
				check(e.isEmpty(), e);
			for (long end = System.currentTimeMillis() + 20000; starts("share-txn", "share-txn").get(0) < 119;) {
				c.poll(Duration.ofMillis(100));
				check(System.currentTimeMillis() < end, starts("share-txn", "share-txn") + " " + errors);
			}
			check(errors.isEmpty(), errors);
		}
	}

	/** What user interfaces ask. */
	static void administration() throws Exception {
		TopicPartition tp = new TopicPartition("share-admin", 0);

		create("share-admin", 2, "share-admin");
		write("share-admin", 0, 100);
		try (KafkaShareConsumer<String, String> c = consumer("share-admin", "share-admin")) {
			for (int n = 0; n < 100;)
				n += some(c).size();
			c.commitSync();
			ShareGroupDescription d = admin.describeShareGroups(List.of("share-admin")).all().get().get("share-admin");

			same(d.groupState(), GroupState.STABLE);
			same(d.members().size(), 1);
			same(d.members().iterator().next().assignment().topicPartitions(), Set.of(tp, new TopicPartition("share-admin", 1)));
			Collection<GroupListing> listed = admin.listGroups(ListGroupsOptions.forShareGroups()).all().get();

			check(listed.stream().anyMatch(g -> g.groupId().equals("share-admin") && g.type().equals(Optional.of(GroupType.SHARE))), listed);
		}
		Map<TopicPartition, SharePartitionOffsetInfo> info = admin.listShareGroupOffsets(
			Map.of("share-admin", new ListShareGroupOffsetsSpec())).partitionsToOffsetInfo("share-admin").get();

		same(info.get(tp).lag(), Optional.of(0L));
		admin.alterShareGroupOffsets("share-admin", Map.of(tp, 3L)).all().get();
		same(starts("share-admin", "share-admin").get(0), 3L);
		admin.deleteShareGroupOffsets("share-admin", Set.of("share-admin")).all().get();
		same(starts("share-admin", "share-admin"), Map.of());
		admin.deleteShareGroups(List.of("share-admin")).all().get();
		check(admin.listGroups(ListGroupsOptions.forShareGroups()).all().get().stream().noneMatch(
			g -> g.groupId().equals("share-admin")), "still there");
		same(admin.describeFeatures().featureMetadata().get().finalizedFeatures().get("share.version").maxVersionLevel(), (short) 1);
	}
}

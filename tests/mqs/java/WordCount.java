/* SPDX-License-Identifier: Apache-2.0 */
import java.time.Duration;
import java.util.Arrays;
import java.util.Properties;

import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;

/**
 * Counts the words of a topic into another one, exactly once, until its standard input ends.
 *
 * usage: WordCount BOOTSTRAP APPLICATION FROM TO STATE_DIR
 */
public class WordCount {
	public static void main(String[] args) throws Exception {
		Properties p = new Properties();

		p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
		p.put(StreamsConfig.APPLICATION_ID_CONFIG, args[1]);
		p.put(StreamsConfig.STATE_DIR_CONFIG, args[4]);
		p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
		p.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 50);
		p.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
		p.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
		p.put("reconnect.backoff.max.ms", 200);

		StreamsBuilder builder = new StreamsBuilder();

		builder.stream(args[2], Consumed.with(Serdes.String(), Serdes.String()))
				.flatMapValues(line -> Arrays.asList(line.split(" ")))
				.groupBy((key, word) -> word, Grouped.with(Serdes.String(), Serdes.String()))
				.count(Materialized.as(org.apache.kafka.streams.state.Stores.inMemoryKeyValueStore("counts")))
				.toStream()
				.mapValues(String::valueOf)
				.to(args[3], Produced.with(Serdes.String(), Serdes.String()));

		KafkaStreams streams = new KafkaStreams(builder.build(), p);

		streams.setUncaughtExceptionHandler(e -> {
			e.printStackTrace();
			return StreamThreadExceptionResponse.REPLACE_THREAD;
		});
		streams.start();
		while (System.in.read() != -1)
			continue;
		System.exit(streams.close(Duration.ofSeconds(20)) ? 0 : 1);
	}
}
